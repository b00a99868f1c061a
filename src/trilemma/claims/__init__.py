"""What people say about families of models, put to the test on the numbers of one run."""
