"""The version of both distributions. It is written here alone."""

VERSION = "0.1.0"
