"""The labels of a receipt's inputs."""

# How the label of a promoted model's bundle begins: `bundle delay@prod`.
BUNDLE = "bundle "
