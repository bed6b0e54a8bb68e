"""Templates for the sidecar's renderer, one for each project, and how one is made for a file."""
