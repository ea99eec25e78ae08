"""Projects of other people: their template, the files of this repository that they share, and samebook's wheel."""
