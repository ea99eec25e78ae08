"""What others get of a run, or of a promoted model: a research object that stands without this repository."""
