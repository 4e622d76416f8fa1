"""Findings: what stored runs say of each claim, and the page that says so."""
