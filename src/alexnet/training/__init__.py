"""How it learns: recipes, the plan for the time there is, the loop, the run folder."""
