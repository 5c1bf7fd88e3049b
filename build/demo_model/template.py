"""The chat template: how messages and tools become the text that the model reads.

Objects are written piece by piece, since readers of templates differ in the spaces of `tojson`.
"""

from __future__ import annotations

CHAT_TEMPLATE = r"""{%- macro call_text(call) -%}
{%- set function = call['function'] if call['function'] is defined else call -%}
{{- '<tool_call>{"name":"' + function['name'] + '","arguments":' -}}
{%- if function['arguments'] is string -%}{{- function['arguments'] -}}
{%- else -%}{{- '{' -}}
{%- for name, value in function['arguments'].items() -%}
{{- '"' + name + '":' -}}{{- value | tojson -}}{{- ',' if not loop.last else '' -}}
{%- endfor -%}{{- '}' -}}{%- endif -%}
{{- '}</tool_call>' -}}
{%- endmacro -%}
{%- macro tool_line(tool) -%}
{%- set function = tool['function'] if tool['function'] is defined else tool -%}
{%- set parameters = function['parameters'] or {} -%}
{{- '\n{"name":"' + function['name'] + '","description":' -}}
{{- (function['description'] or '') | tojson -}}{{- ',"parameters":{' -}}
{%- for name, schema in (parameters['properties'] or {}).items() -%}
{%- set type = schema['type'] if schema['type'] is string else 'string' -%}
{{- '"' + name + '":"' + type + '"' + (',' if not loop.last else '') -}}
{%- endfor -%}{{- '}}' -}}
{%- endmacro -%}
{%- set has_system = messages and messages[0]['role'] == 'system' -%}
{%- if tools -%}
{{- '<|im_start|>system\n' -}}
{%- if has_system and messages[0]['content'] -%}{{- messages[0]['content'] + '\n' -}}{%- endif -%}
{{- 'Tools:' -}}
{%- for tool in tools -%}{{- tool_line(tool) -}}{%- endfor -%}
{{- '<|im_end|>\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] not in ['system', 'user', 'assistant', 'tool'] -%}
{{- raise_exception('unknown role: ' + message['role']) -}}
{%- endif -%}
{%- if message['content'] is not string and not message['tool_calls'] -%}
{{- raise_exception('the content of a message must be a text') -}}
{%- endif -%}
{%- if not (tools and has_system and loop.first) -%}
{{- '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') -}}
{%- for call in message['tool_calls'] or [] -%}{{- call_text(call) -}}{%- endfor -%}
{{- '<|im_end|>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""
