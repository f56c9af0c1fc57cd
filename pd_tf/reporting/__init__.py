"""Results of runs as tables, plots and pages."""
