"""Small pieces of HTML for notebooks and reports: elements, tables, bars, images. All text in them is escaped."""
