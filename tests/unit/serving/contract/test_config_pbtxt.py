"""What `render` writes is what Triton's own protobuf reads."""

from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from serving.contract.pbtxt import DynamicBatching, EnsembleStep, ModelEntry, render
from serving.contract.tensors import Tensor

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TENSORS = st.builds(
    Tensor,
    NAMES,
    st.sampled_from(["BOOL", "INT32", "INT64", "UINT64", "FP16", "FP32", "STRING"]),
    st.lists(st.sampled_from([-1, 1, 2, 3]), min_size=1, max_size=3).map(tuple),
    is_optional=st.booleans(),
    is_scalar=st.booleans(),
    is_ragged=st.booleans(),
)
MAPS = st.dictionaries(NAMES, NAMES, max_size=3)
ENTRIES = st.builds(
    ModelEntry,
    NAMES,
    st.lists(TENSORS, max_size=3),
    st.lists(TENSORS, max_size=3),
    st.integers(0, 64),
    is_decoupled=st.booleans(),
    instances=st.integers(1, 4),
    parameters=st.dictionaries(NAMES, st.text(max_size=12), max_size=2),
    steps=st.lists(st.builds(EnsembleStep, NAMES, MAPS, MAPS), max_size=2),
)


def parsed(entry):
    return text_format.Parse(render(entry), model_config_pb2.ModelConfig())


def assert_same_tensor(written, tensor, *, is_input):
    assert written.name == tensor.name
    assert model_config_pb2.DataType.Name(written.data_type) == f"TYPE_{tensor.dtype}"
    assert tuple(written.dims) == tensor.dims
    assert written.HasField("reshape") == tensor.is_scalar
    assert tuple(written.reshape.shape) == ()
    if is_input:
        assert written.optional == tensor.is_optional
        assert written.allow_ragged_batch == tensor.is_ragged


def as_output(tensor):
    return Tensor(tensor.name, tensor.dtype, tensor.dims, is_scalar=tensor.is_scalar)


@given(ENTRIES)
def test_triton_reads_what_was_meant(entry):
    outputs = [as_output(tensor) for tensor in entry.outputs]
    entry = ModelEntry(
        entry.name,
        entry.inputs,
        outputs,
        entry.max_batch_size,
        is_decoupled=entry.is_decoupled,
        instances=entry.instances,
        parameters=entry.parameters,
        steps=entry.steps,
    )
    config = parsed(entry)
    assert (config.name, config.max_batch_size) == (entry.name, entry.max_batch_size)
    assert config.model_transaction_policy.decoupled == entry.is_decoupled
    for written, tensor in zip(config.input, entry.inputs, strict=True):
        assert_same_tensor(written, tensor, is_input=True)
    for written, tensor in zip(config.output, outputs, strict=True):
        assert_same_tensor(written, tensor, is_input=False)
    assert {k: v.string_value for k, v in config.parameters.items()} == entry.parameters


@given(ENTRIES)
def test_an_entry_is_a_python_model_or_an_ensemble(entry):
    outputs = [as_output(tensor) for tensor in entry.outputs]
    config = parsed(ModelEntry(entry.name, entry.inputs, outputs, 1, steps=entry.steps))
    steps = config.ensemble_scheduling.step
    assert (config.backend, config.platform) == (
        ("", "ensemble") if entry.steps else ("python", "")
    )
    assert [group.count for group in config.instance_group] == ([] if entry.steps else [1])
    assert [(step.model_name, dict(step.input_map), dict(step.output_map)) for step in steps] == [
        (step.model, step.inputs, step.outputs) for step in entry.steps
    ]


def test_a_model_is_batched_only_where_its_entry_says_so():
    batching = DynamicBatching(most_delay_us=1500)
    config = parsed(ModelEntry("m", (), (), 8, batching=batching)).dynamic_batching
    assert config.max_queue_delay_microseconds == 1500
    assert not config.HasField("default_queue_policy")  # it makes Triton stall
    assert not parsed(ModelEntry("m", (), (), 8)).HasField("dynamic_batching")
