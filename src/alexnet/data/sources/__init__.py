"""Where labelled images come from: folders, archives, tables, named sets and the hub."""
