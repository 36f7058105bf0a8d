"""Running the program as a shell would."""

import json
import re

from click.testing import CliRunner

from emcomp.cli import program

WORDS = ["cat", "dog", "na\u00efve", "New York", "12", "#"]


def invoke(*arguments):
    return CliRunner().invoke(program, [str(a) for a in arguments], prog_name="emcomp")


def run(*arguments, code=0):
    result = invoke(*arguments)
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    if code:
        assert re.fullmatch(r"emcomp: error: [^\n]+\n", result.stderr)
    return result


def run_json(command, *arguments):
    return json.loads(run(command, "--json", *arguments).stdout)
