"""Renders chats with a checkpoint's own Jinja templates, one JSON line in and one out.

The first line is {"templates": {name: source}, "special_tokens": {...}}, every other one a chat:
{"template": name, "messages": [...], "tools": [...], "documents": [...], "variables": {...}}.
Answers are {"text": ...}, {"error": ...} when the template refuses the chat, or {"broken": ...} when it
is no template.

The environment is that of transformers 5.24 (utils/chat_template_utils.py), with a fixed date, because
the same data must always give the same text. What Jinja mended in 3.1.5 is mended here for older ones.
"""

import datetime
import json
import resource
import sys

STATUS_NO_JINJA = 3
MEMORY_BYTES = 4 << 30
# The day that Llama's templates name where they cannot ask for one.
TODAY = datetime.datetime(2024, 7, 26)
REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")

try:
    import jinja2
    from jinja2 import ext, idtracking, nodes, sandbox
except ImportError:
    sys.exit(STATUS_NO_JINJA)


class Environment(sandbox.ImmutableSandboxedEnvironment):
    """Jinja before 3.1.5 lets a template change a list by clear and pop."""

    def is_safe_attribute(self, obj, attr, value):
        if isinstance(obj, list) and attr in ("clear", "pop"):
            return False
        return super().is_safe_attribute(obj, attr, value)


def read_variables_of_all_branches():
    """Jinja before 3.1.5 takes a variable that every branch of an if sets for set by the if, though one of them
    sets it on a condition only. It counts the branches; one more that sets nothing keeps it from that."""
    symbols = idtracking.Symbols
    update = symbols.branch_update
    symbols.branch_update = lambda self, branches: update(self, [*branches, symbols()])


class GenerationBlocks(ext.Extension):
    """{% generation %}...{% endgeneration %} marks what the model says; the text is the inner text."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_inner"), [], [], body).set_lineno(line)

    def _inner(self, caller):
        return caller()


class PublicNamespace(jinja2.utils.Namespace):
    """namespace() without names that begin with an underscore."""

    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            PublicNamespace.check(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name, value):
        PublicNamespace.check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace may not have the attribute {name!r}")


class PlainDict:
    """dict() and dict.fromkeys(), and no other attribute of the type."""

    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def make_environment():
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlocks, ext.loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = TODAY.strftime
    environment.globals["dict"] = PlainDict()
    environment.globals["namespace"] = PublicNamespace
    return environment


def with_reasoning(message):
    """The reasoning under the two names that templates read, whichever of the three it has."""
    reasoning = next((message[key] for key in REASONING_KEYS if message.get(key) is not None), None)
    if reasoning is None:
        return message
    return {"thinking": reasoning, **message, "reasoning_content": reasoning}


def without_nulls(message):
    return {key: value for key, value in message.items() if value is not None}


def with_joined_parts(message):
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    return {**message, "content": "".join(part if isinstance(part, str) else part["text"] for part in parts)}


def with_parsed_arguments(message):
    """The arguments of tool calls as objects, where they are JSON in a string."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    return {**message, "tool_calls": [with_parsed_call(call) for call in calls]}


def with_content(message):
    return message if "content" in message else {**message, "content": ""}


def with_parsed_call(call):
    if not isinstance(call, dict):
        return call
    if isinstance(call.get("function"), dict):
        return {**call, "function": with_parsed_call(call["function"])}
    if not isinstance(call.get("arguments"), str):
        return call
    try:
        return {**call, "arguments": json.loads(call["arguments"] or "{}")}
    except ValueError:
        return call


class Renderer:
    def __init__(self, templates, special_tokens):
        self.environment = make_environment()
        self.sources = templates
        self.templates = {}
        self.special_tokens = special_tokens
        self.reads_parts = {}

    def render(self, chat):
        self.template(chat["template"])
        messages = [with_reasoning(without_nulls(message)) for message in chat["messages"]]
        if not self.takes_parts(chat["template"]):
            messages = [with_joined_parts(message) for message in messages]
        plainer = [with_content(with_parsed_arguments(message)) for message in messages]
        try:
            return self.apply(chat, messages)
        except Exception:  # some templates ask for objects, or for a content
            if plainer == messages:
                raise
        return self.apply(chat, plainer)

    def apply(self, chat, messages):
        variables = {
            **self.special_tokens,
            "messages": messages,
            "tools": chat.get("tools"),
            "documents": chat.get("documents"),
            "add_generation_prompt": False,
            **chat.get("variables", {}),
        }
        return self.template(chat["template"]).render(**variables)

    def template(self, name):
        if name not in self.templates:
            self.templates[name] = self.environment.from_string(self.sources[name])
        return self.templates[name]

    def takes_parts(self, name):
        """Whether the template joins text parts itself; others would print them as Python writes lists."""
        if name not in self.reads_parts:
            self.reads_parts[name] = self.probe(name, [{"type": "text", "text": "probe"}]) == self.probe(name, "probe")
        return self.reads_parts[name]

    def probe(self, name, content):
        try:
            return self.apply({"template": name}, [{"role": "user", "content": content}])
        except Exception:  # whatever a template does with what it does not expect
            return None


def answer(line, renderer):
    """The answer to a line, and the renderer for the next ones."""
    try:
        request = json.loads(line)
        if renderer is None:
            return {"text": ""}, Renderer(**request)
        text = renderer.render(request)
        text.encode()  # what is no Unicode cannot be told
        return {"text": text}, renderer
    except jinja2.exceptions.TemplateSyntaxError as error:
        return {"broken": f"{error.message} (its line {error.lineno})"}, renderer
    except Exception as error:  # a template may raise anything
        return {"error": f"{error}".rstrip(".") or type(error).__name__}, renderer


def main():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    read_variables_of_all_branches()
    renderer = None
    for line in sys.stdin.buffer:
        reply, renderer = answer(line, renderer)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


main()
