"""From a source to stored periods: what changed is found, read in blocks, judged, loaded and compared."""
