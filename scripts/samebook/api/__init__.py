"""What `import samebook` gives a notebook."""
