"""The machine: device, precision and several processes."""
