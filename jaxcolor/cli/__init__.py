"""The command: one file per subcommand; parse, call a recipe, report."""
