"""The steps of a request in path order, one file each."""
