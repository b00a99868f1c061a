"""As much of torch as a worker asks for that times a model without a network: real torch takes seconds to import."""

__version__ = "0.1"
float32 = "torch.float32"


class device:
    def __init__(self, kind):
        self.type = kind


class cuda:
    @staticmethod
    def is_available():
        return False


def get_num_threads():
    return 1


def get_default_dtype():
    return float32


def are_deterministic_algorithms_enabled():
    return False


class Switches:
    """All of them, as deep as anybody asks."""

    def __getattr__(self, name):
        return self


backends = Switches()
