"""`python -m genai_collector` is the same as the command `genai-collector`."""

from genai_collector.cli import main

main()
