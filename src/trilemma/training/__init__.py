"""One recipe per network and one loop for all of them."""
