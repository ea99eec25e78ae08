"""Datasets by day, and the warehouse that they are made from: DuckDB or PostgreSQL."""
