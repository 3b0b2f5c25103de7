"""From arrays to compiled programs: choice of driver, work memory, threads."""
