"""The tasks that come with the package, one TOML file each; the file name is the task's name."""
