"""A notebook of another project is read, and what this one needs of it is planned. Nothing here runs or writes."""
