"""Well-known task queues doing the least there is to do: a task that does nothing, acked after it.

Each adapter is what its users would write, run from a virtual environment of its own
(requirements.txt), and holds to the same: durable queues, quorum queues where it can declare them,
persistent messages, each publish confirmed before it counts, each task acked after it has run.
They know nothing of our code. An adapter is run with

    BENCH_AMQP_URL  the broker
    BENCH_QUEUE     the name of the queue
    BENCH_COUNTS    a folder in which its workers count (counting.py)

as a worker by its library's own command, and as a producer by `python -m <adapter> <messages>`,
which publishes a warm-up, says `ready`, waits for a line on its standard input and publishes.
"""
