"""The trainer's command line: import, synth, hold-out, fit, evaluate, compare."""

import gc

# What is imported stays: to look for garbage among it takes a third of the start.
gc.disable()

import typer

from training.commands.comparing import compare_
from training.commands.data import hold_out, import_, synth
from training.commands.fitting import evaluate_, fit_

gc.freeze()
gc.enable()

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
app.command("import")(import_)
app.command("synth")(synth)
app.command("hold-out")(hold_out)
app.command("fit")(fit_)
app.command("evaluate")(evaluate_)
app.command("compare")(compare_)

if __name__ == "__main__":
    app()
