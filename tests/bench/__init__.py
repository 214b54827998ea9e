"""`make bench`: how fast, how exact and how frugal the collider is, measured on private servers.

A bench is a module of this package with

- `NAME`: the first part of its figures' names (goals.py lists them all, with their goals);
- `BOUND_S` and `QUICK_BOUND_S`: when it is cut short, seconds, with and without `QUICK=1`;
- `async def run(stand: Stand) -> Figures`: measures, and returns its figures by their short names
  (`{"msgs_per_s": 4200.0, "peers": {"celery": 900.0}}`; whatever JSON takes). More figures than
  goals.py names are welcome: they are reported. Raises what it likes when it cannot measure.

`__main__.py` lists the modules in the order in which they run, one after the other. The `Stand`
gives them `place()` (an empty database and a bus prefix of its own, gone afterwards), `run` (for
`Run.spawn`: what is still alive at the end of the bench is stopped by its process id), `quick`
and `say()`. colliders.py starts collider processes with a provider within them that takes
everything and calls nobody, or with the real one; for benches at the sandbox there is
`deploy.local.platform.Platform`, with `services=("collider",)`.

A bench that fails costs the others nothing: its error stands in the table, the others' figures in
`.local/bench.json`, and the exit code is 1. A goal that is missed is told, and is no failure.
"""
