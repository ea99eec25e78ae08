"""MLflow as a mirror: what it is shown of runs and models. Nothing here decides anything, and nothing reads it back."""
