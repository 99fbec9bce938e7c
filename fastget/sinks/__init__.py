"""Where bytes go: files, memory and streams. Each keeps the contract of `fastget.sinks.protocol`."""
