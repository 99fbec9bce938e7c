"""moto, of which only the server is there, run by the interpreter that TRUSTME_PYTHON names."""
