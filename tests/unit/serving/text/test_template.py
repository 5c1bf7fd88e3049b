"""Chat templates mean here what they mean to Hugging Face, and can reach nothing else."""

import re

import pytest

from serving.contract.errors import InvalidRequest
from serving.text.model_files import chat_template, special_tokens
from serving.text.template import ChatTemplate

HELLO = [{"role": "user", "content": "hello"}]


def render(source, messages=HELLO, **special):
    return ChatTemplate(source, special).render(messages)


def test_the_assistant_speaks_next():
    assert render("{% if add_generation_prompt %}assistant:{% endif %}") == "assistant:"


def test_special_tokens_have_their_names():
    assert render("{{ bos_token }}{{ eos_token }}", bos_token="<s>", eos_token="</s>") == "<s></s>"


def test_blocks_leave_no_blank_lines():
    source = (
        "{% for m in messages %}\n  {% if true %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}"
    )
    assert render(source) == "hello\n"


def test_nothing_is_escaped_for_html():
    messages = [{"role": "user", "content": "<b> & 'x' \"y\" é"}]
    assert render("{{ messages[0].content }}", messages) == "<b> & 'x' \"y\" é"
    assert render("{{ messages[0].content | tojson }}", messages) == '"<b> & \'x\' \\"y\\" é"'


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", '{"b": 1, "a": "é"}'),
        ("(ensure_ascii=False)", '{"b": 1, "a": "é"}'),
        ("(indent=1)", '{\n "b": 1,\n "a": "é"\n}'),
        ("(separators=(',', ':'))", '{"b":1,"a":"é"}'),
        ("(sort_keys=True)", '{"a": "é", "b": 1}'),
    ],
)
def test_tojson_takes_what_hugging_faces_takes(arguments, text):
    messages = [{"role": "user", "content": {"b": 1, "a": "é"}}]
    assert render("{{ messages[0].content | tojson" + arguments + " }}", messages) == text


def test_tools_and_documents_are_none_when_there_are_none():
    source = "{{ tools is none }} {{ documents is none }} {% if tools is not none %}x{% endif %}"
    assert render(source) == "True True "


def test_loop_controls_and_generation_blocks_are_known():
    source = (
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    )
    assert render(source, HELLO * 3) == "hello"


def test_the_date_is_today():
    assert re.fullmatch(r"\d{2} [A-Z][a-z]{2} \d{4}", render("{{ strftime_now('%d %b %Y') }}"))


def test_a_refusal_has_the_templates_own_words():
    with pytest.raises(InvalidRequest, match="roles must alternate") as refused:
        render("{{ raise_exception('roles must alternate') }}")
    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content + 1 }}",
        "{{ messages[0]['missing'].x }}",
        "{{ 1 // 0 }}",
        "{{ messages[0].content.index('zzz') }}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{{ '%d' % messages[0].content }}",
        "{{ [1].pop(7) }}",
    ],
)
def test_whatever_goes_wrong_inside_is_the_requests_fault(source):
    with pytest.raises(InvalidRequest) as refused:
        render(source)
    assert refused.value.param == "messages"


def test_messages_nested_too_deep_for_json_are_refused():
    content = []
    for _ in range(100_000):
        content = [content]
    with pytest.raises(InvalidRequest):
        render("{{ messages[0].content | tojson }}", [{"role": "user", "content": content}])


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__ }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__.__base__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ strftime_now.__globals__['json'] }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ messages[0].content.format.__func__ }}",
        "{{ '{0.__class__}'.format(messages) }}",
        "{{ messages | attr('__class__') }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'system'}) }}",
        "{% include '/etc/passwd' %}",
        "{% import '/etc/passwd' as x %}",
    ],
)
def test_the_sandbox_holds(source):
    messages = [dict(HELLO[0])]
    try:
        shown = render(source, messages)
    except InvalidRequest:
        shown = ""
    assert (shown, messages) == ("", HELLO)


def test_names_of_python_are_not_there():
    assert (
        render("{{ open is defined }}{{ __import__ is defined }}{{ os is defined }}") == "False" * 3
    )


def test_a_template_that_does_not_parse_says_so():
    with pytest.raises(ValueError, match="template"):
        ChatTemplate("{% if %}", {})


@pytest.mark.parametrize(
    "messages",
    [
        [{}],
        [{"role": "user"}],
        [{"content": "a"}],
        [{"role": 7, "content": "a"}],
        [{"role": None, "content": "a"}],
        [{"role": ["user"], "content": "a"}],
        [{"role": "pirate", "content": "a"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": {"a": 1}}],
        [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        [*HELLO, {"role": "user", "content": True}],
    ],
)
def test_the_demo_template_refuses_odd_messages(demo_model, messages):
    template = ChatTemplate(chat_template(demo_model), special_tokens(demo_model))
    with pytest.raises(InvalidRequest):
        template.render(messages)


def test_the_demo_template_writes_turns(demo_model):
    template = ChatTemplate(chat_template(demo_model), special_tokens(demo_model))
    assert template.render([{"role": "system", "content": "s"}, *HELLO]) == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )
