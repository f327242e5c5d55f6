"""What ``skillforge create --help`` says."""

CREATE_HELP = """\
Let a strong model write down how to do a task.

It solves real inputs first and writes a draft skill from what it did. Cases that carry splits are used from the
train split only. What the teacher answered is kept: after an interruption the same command asks only for what is
missing. After it has finished, the same command asks for another draft; the solved inputs stay paid for.

With --from-log nothing is solved: what a program was answered already, in the train cases of the suite that was
made from the same calls, is what the teacher writes from. Labels that people gave in review come before it.

With --tools or --mcp the teacher works like an agent on each input, and the draft is a workflow: the calls it made,
and small prompts where language is needed. A tool that writes asks first. A loop that was interrupted, or stopped
by a limit, goes on where it was: no model call is paid for twice and no tool called twice. --record keeps the
tools' answers too, and --replay takes them from there.

With --from-trace a workflow is compiled from what an agent did already, and proved on the recorded results of its
tools. Nobody is asked, unless --teacher names who proposes the steps, or --draft brings a proposal: the answer to
what --author-request prints, so that a coding agent can teach itself without any API key.

With --cases-target the teacher plays all roles, or other models do: it solves the real inputs, simulates new ones,
answers every input twice, freezes what both answers agree on as a suite (train, dev, test), writes the skill from
train alone, and has it attacked. What it does not agree on waits for a person in a suite of its own.

Examples:

\b
  skillforge create "Route one support message to a queue" \\
    --teacher anthropic:claude-opus-5-5 --cases messages.jsonl --dry-run
  skillforge create @task.txt --teacher replay:answers.jsonl \\
    -i ticket="I was charged twice" -o skills
  skillforge create --from-log mail-desk --teacher anthropic:claude-opus-5-5
  skillforge create "Route one support message to a queue" --name mail \\
    --cases messages.jsonl --cases-target 200 --critic openai:gpt-5 --budget 5
  skillforge create --from-trace latest
  skillforge create --from-trace traces.jsonl --author-request > ask.txt
  skillforge create --from-trace traces.jsonl --draft answer.json
  skillforge create "Decide about a refund request" --cases requests.jsonl \\
    --tools shop.tools:tools --max-turns 12 --max-usd 0.5

Exit code: 0 a draft was made, 1 the teacher's draft stayed wrong, 2 usage, 4 the teacher gave no answer.
"""
