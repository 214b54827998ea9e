"""The demonstration: two campaigns from their upload to the carriers' ledger, shown live.

`make demo`, or `python -m deploy.demo` where the set-up has been done. It uses the public HTTP API
as an operator, an admin and senders would, hears the public events as another system could, and
asks the sandbox's judge for the verdict. Its last word is its exit code.
"""
