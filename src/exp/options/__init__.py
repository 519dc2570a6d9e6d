"""What an option is: fields, types, checks, the catalog of choices, resolving, identity."""
