"""Copies in stores: manifests, the one pass, what commands make of them."""
