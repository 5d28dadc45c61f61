"""On torch the batch is fetched between two steps, and what a step is made of is told by hooks."""

import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import torch
from keras import layers

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes import torch as probe
from tb_trainspeed.probes import torch_parts
from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.sampling import Unavailable
from tb_trainspeed.probes.torch import deep_tool
from tb_trainspeed.profile import Compilation, CompilationEvent, Device, DeviceMemory

EPOCHS, STEPS, BATCH = 3, 10, 8


class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return STEPS * BATCH

    def __getitem__(self, index):
        time.sleep(0.002)
        return np.ones(4, "float32"), np.ones(1, "float32")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slow_loader_is_waited_for(workers, make_model):
    callback = TrainSpeedCallback(None, verbose=0)
    data = torch.utils.data.DataLoader(Slow(), batch_size=BATCH, num_workers=workers)
    make_model().fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[callback])
    profile = callback.report.profile
    phases = profile.ledger.phases
    made_s = 0.002 * BATCH * STEPS * EPOCHS
    waits = ("input_wait", "epoch_restart", "startup", "compilation")
    if workers:  # what a worker makes while steps compute is not waited for
        made_s -= sum(spent or 0.0 for phase, spent in phases.items() if phase not in waits)
    # The first wait of an epoch is partly the start of its workers.
    assert phases["input_wait"] + phases["epoch_restart"] >= 0.9 * made_s
    assert phases["input_wait"] >= 0.7 * made_s
    assert (profile.data.adapter, profile.data.batch_size) == ("TorchDataLoaderAdapter", BATCH)
    assert profile.environment.devices[0].kind in ("CPU", "GPU")


class EndsSlowly(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from ((np.ones(4, "float32"), np.ones(1, "float32")) for _ in range(STEPS * BATCH))
        time.sleep(0.02)  # as a tf.data iterator that is let go once it was read to its end


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras says so of every loader of unknown length
def test_what_the_end_of_a_loader_takes_is_told_apart(make_model):
    callback = TrainSpeedCallback(None, verbose=0)
    data = torch.utils.data.DataLoader(EndsSlowly(), batch_size=BATCH)
    make_model().fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[callback])
    epochs = callback.report.profile.epochs
    assert epochs.release.count == EPOCHS - 1
    assert epochs.release.mean_s >= 0.02
    assert epochs.restart.mean_s >= epochs.release.mean_s


def test_what_the_compiler_says(monkeypatch):
    """A function compiled twice, the second time for another shape: `eager` is a backend that generates no code."""
    undo, started_at_s = Undo(), time.time()
    add_facts = probe.watch_compiler(started_at_s, undo)
    before = add_facts(Compilation())
    assert (before.functions_s, sum(before.compiler_s.values())) == ({}, 0.0)

    def add_one(x):
        return x + 1

    compiled = torch.compile(add_one, backend="eager")
    compiled(torch.ones(3))
    begin_s = time.time() - started_at_s
    compiled(torch.ones(5))
    event = CompilationEvent(1, begin_s, time.time() - started_at_s - begin_s, "float32(5,)")
    found = add_facts(Compilation(events=(event,)))
    assert "size mismatch" in found.events[0].reason
    assert "\n" not in found.events[0].reason
    assert found.compiler_s["dynamo"] > 0
    assert list(found.functions_s) == ["add_one"]
    assert found.graph_breaks == 0


def test_switches_are_seen():
    before = probe.settings()
    with torch.autograd.set_detect_anomaly(True):
        after = probe.settings()
    changed = {name for name, value in after.items() if before[name] != value}
    assert changed == {"torch.autograd.set_detect_anomaly"}


def test_memory_of_a_gpu(monkeypatch):
    """On a device that is made up."""
    gpu = SimpleNamespace(name="NVIDIA A100", total_memory=9, major=8, minor=0)
    made_up = {
        "is_available": lambda: True, "is_initialized": lambda: True, "device_count": lambda: 1,
        "get_device_properties": lambda index: gpu, "memory_allocated": lambda index: 3,
        "max_memory_allocated": lambda index: 5,
    }  # fmt: skip
    for name, value in made_up.items():
        monkeypatch.setattr(torch.cuda, name, value)
    assert probe.device_memory() == (DeviceMemory("cuda:0", 3, 5, 9),)
    monkeypatch.setattr("keras.src.backend.torch.core.DEFAULT_DEVICE", "cuda")
    assert probe.devices() == (Device("GPU", "NVIDIA A100", 9, "8.0"),)
    with keras.device("cpu"):  # then the other one is not used
        assert probe.devices() == (Device("CPU", "cpu"),)


@pytest.mark.parametrize("kind", ["cuda:1", "xpu:0", "mps"])
def test_the_end_of_a_step_is_asked_of_the_device_that_has_the_model(monkeypatch, kind):
    """On devices that are made up."""
    recorded = []
    device = torch.device(kind)
    made_up = SimpleNamespace(
        Event=lambda: SimpleNamespace(record=lambda *stream: recorded.append(stream), query=None, synchronize=None),
        current_stream=str,
    )
    monkeypatch.setattr(torch, device.type, made_up)
    model = SimpleNamespace(parameters=lambda: [SimpleNamespace(device=device)])
    assert probe._accelerator(model) == device
    probe._Event(device)
    assert recorded == [() if kind == "mps" else (kind,)]


def test_no_device_is_followed_that_has_not_the_model(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert probe._accelerator(sequential()) is None


# --- deep samples

PARTS = {"forward", "backward", "metrics", "optimizer", "transfer", "host_overhead"}


class Scale(layers.Layer):
    """Multiplies in place, as a layer written for torch may."""

    def call(self, x):
        y = x + 0.0
        y.mul_(1.5)
        return y


def sequential():
    return keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.Dense(8, name="first"),
            layers.BatchNormalization(name="norm"),
            Scale(name="scale"),
            layers.Dropout(0.3, name="dropout"),
            layers.LSTM(5, name="lstm"),
            layers.Dense(1, name="last"),
        ]
    )


def shared_and_nested():
    inner = keras.Sequential([keras.Input((6, 4)), layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="inner")
    shared = layers.Dense(4, activation="relu", name="shared")
    inputs = keras.Input((6, 4))
    hidden = inner(shared(shared(inputs)))
    hidden = layers.Add(name="add")([hidden, shared(hidden)])
    return keras.Model(inputs, layers.Dense(1, name="last")(layers.Flatten(name="flatten")(hidden)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(4, name=f"block{index}") for index in range(2)]
        self.attention = layers.MultiHeadAttention(2, 4, name="attention")
        self.last = layers.Dense(1, name="last")

    def call(self, x):
        for block in self.blocks:
            x = x + keras.ops.gelu(block(x))
        return keras.ops.mean(self.last(self.attention(x, x)), axis=1)


class Gan(keras.Model):
    """Two optimizers, and a gradient penalty: a backward pass within forward."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([layers.Dense(8, name="g1"), layers.Dense(4, name="g2")], name="generator")
        self.critic = keras.Sequential([layers.Dense(8, name="c1"), layers.Dense(1, name="c2")], name="critic")
        self.loss_tracker = keras.metrics.Mean(name="critic_loss")

    def build(self, shape):
        self.generator.build((None, 4))
        self.critic.build((None, 4))

    def call(self, x):
        return self.critic(x[:, 0])

    def compile(self, **options):
        super().compile(**options)
        self.generator_optimizer = keras.optimizers.SGD(0.01)
        self.critic_optimizers = [torch.optim.SGD([v.value for v in self.critic.trainable_variables], 0.01)]

    def train_step(self, data):
        x = data[0][:, 0]
        fake = self.generator(keras.random.normal(x.shape, seed=3))
        self.zero_grad()
        mixed = (0.5 * x + 0.5 * fake).detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(mixed).sum(), mixed, create_graph=True)
        loss = self.critic(fake.detach()).mean() - self.critic(x).mean() + ((slope.norm(dim=1) - 1) ** 2).mean()
        loss.backward()
        self.critic_optimizers[0].step()
        self.zero_grad()
        (-self.critic(fake).mean()).backward()
        weights = self.generator.trainable_weights
        with torch.no_grad():
            self.generator_optimizer.apply([v.value.grad for v in weights], weights)
        self.loss_tracker.update_state(loss.detach())
        return {"critic_loss": self.loss_tracker.result()}


def low_rank():
    model = sequential()
    model.layers[0].enable_lora(2)
    return model


def frozen():
    model = sequential()
    model.layers[0].trainable = model.layers[1].trainable = False
    return model


def gan():
    model = Gan()
    model.build((None, 4))
    return model


def mixed():
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return shared_and_nested()
    finally:
        keras.config.set_dtype_policy(with_policy)


def adam(**options):
    return lambda: keras.optimizers.Adam(0.01, **options)


KINDS = {
    "sequential": (sequential, {"optimizer": adam()}),
    "eager": (sequential, {"optimizer": adam(), "run_eagerly": True}),
    "shared_and_nested": (shared_and_nested, {"optimizer": adam()}),
    "subclassed": (Subclassed, {"optimizer": adam(clipnorm=1.0)}),
    "gan": (gan, {"optimizer": adam()}),
    "accumulation": (sequential, {"optimizer": adam(gradient_accumulation_steps=2)}),
    "ema": (sequential, {"optimizer": adam(use_ema=True, ema_overwrite_frequency=3)}),
    "loss_scale": (sequential, {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(adam()())}),
    "mixed_precision": (mixed, {"optimizer": adam()}),
    "lora": (low_rank, {"optimizer": adam()}),
    "frozen": (frozen, {"optimizer": adam()}),
}


def batches():
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, 6, 4)).astype("float32"), rng.normal(size=(80, 1)).astype("float32")


def hooks_on(model):
    return [hook for module in model.modules() for hook in (*module._forward_hooks.values(),
            *module._forward_pre_hooks.values())]  # fmt: skip


def trained(kind, callbacks):
    make, options = KINDS[kind]
    keras.utils.set_random_seed(7)
    model = make()
    model.compile(**{"loss": "mse", "metrics": ["mae"], **options, "optimizer": options["optimizer"]()})
    x, y = batches()
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=callbacks).history
    return model, history


@pytest.fixture(scope="module", params=KINDS)
def sampled(request):
    """(kind, model and history without the callback, those with it, the breakdown)."""
    callback = TrainSpeedCallback(None, max_overhead=1.0, verbose=0)
    plain, measured = trained(request.param, []), trained(request.param, [callback])
    profile = callback.report.profile
    assert profile.not_measured == {}
    return request.param, plain, measured, profile.breakdown


def test_samples_change_nothing(sampled):
    _, (plain, history), (measured, same), breakdown = sampled
    assert breakdown.samples >= 1
    assert same == history
    for ours, theirs in zip(measured.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_samples_leave_nothing(sampled, left_on):
    model = sampled[2][0]
    assert hooks_on(model) == []
    owners = [model, *model.metrics, model.optimizer, torch.autograd]
    assert [left_on(owner) for owner in owners] == [set()] * len(owners)


def test_parts_and_layers(sampled):
    kind, _, _, breakdown = sampled
    parts = {part.name: part.mean_s for part in breakdown.parts}
    assert set(parts) == PARTS
    assert all(value > 0 for name, value in parts.items() if name != "transfer")
    assert parts["transfer"] == 0  # there is none on a CPU
    of_layers = {layer.name: (layer.forward_s, layer.backward_s) for layer in breakdown.layers}
    assert sum(forward for forward, _ in of_layers.values()) < parts["forward"]
    assert sum(backward for _, backward in of_layers.values()) < parts["backward"]
    called = {
        "shared_and_nested": {"shared", "inner", "inner/a", "inner/b", "add", "flatten", "last"},
        "gan": {"generator", "generator/g1", "generator/g2", "critic", "critic/c1", "critic/c2"},
    }
    called["mixed_precision"] = called["shared_and_nested"]
    if kind in called:
        assert set(of_layers) == called[kind]
    elif kind == "subclassed":
        assert {"block0", "block1", "attention", "last", "attention/query"} <= set(of_layers)
    else:
        assert set(of_layers) == {"first", "norm", "scale", "dropout", "lstm", "last"}
    nothing_to_do = {"frozen": {"first", "norm", "scale", "dropout"}}.get(kind, set())
    containers = {"inner", "generator", "critic"}  # with nodes of their own where they cast what they are given
    for name, (forward, backward) in of_layers.items():
        assert forward > 0
        assert name in containers or (backward == 0) == (name in nothing_to_do), name


class Repeated(layers.Layer):
    """A layer that costs as much as so many products of matrices, forward and backward."""

    def __init__(self, times, **options):
        super().__init__(**options)
        self.times = times

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], shape[-1]), initializer="orthogonal")

    def call(self, x):
        for _ in range(self.times):
            x = torch.matmul(x, self.kernel.value)
        return x


def shares(times):
    """Each layer's share of forward and of backward in a chain of four, the median of three fits."""
    model = keras.Sequential(
        [keras.Input((256,)), *(Repeated(n, name=f"layer{index}") for index, n in enumerate(times))]
    )
    model.compile("sgd", "mse")
    x = np.ones((40 * 256, 256), "float32")
    fits = []
    for _ in range(3):  # a machine that is busy for a moment shows in one of them
        callback = TrainSpeedCallback(None, max_overhead=1.0, verbose=0)
        model.fit(x, x, batch_size=256, verbose=0, callbacks=[callback])
        found = callback.report.profile.breakdown.layers
        assert [layer.name for layer in found] == [f"layer{index}" for index in range(4)]
        fits.append([(layer.forward_s, layer.backward_s) for layer in found])
    seconds = np.median(fits, axis=0)
    return seconds / seconds.sum(axis=0)


def test_a_layer_made_dearer_has_a_larger_share():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # else the layers that threads are waited for in are those that are dear
    try:
        even, uneven = shares([1, 1, 1, 1]), shares([1, 1, 8, 1])
    finally:
        torch.set_num_threads(threads)
    assert (even[2] < 0.5).all()
    assert (uneven[2] > 0.6).all()  # 8 of 11
    assert (uneven.argmax(axis=0) == 2).all()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["forward", "backward", "optimizer"])
def test_a_step_that_fails_while_it_is_sampled_leaves_nothing(error, where, left_on, monkeypatch):
    model = sequential()
    model.compile("sgd", "mse", metrics=["mae"])
    seen = []

    def fail(*args):
        if hooks_on(model):
            seen.append(where)
            raise error
        return args

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            if where == "forward":
                fail()
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            if where == "backward":
                fail()
            return gradient

    monkeypatch.setattr(Scale, "call", lambda self, x: Fails.apply(x))
    if where == "optimizer":
        monkeypatch.setattr(type(model.optimizer), "_backend_apply_gradients", fail)
    x, y = batches()
    with pytest.raises(error):
        model.fit(x, y, batch_size=8, verbose=0, callbacks=[TrainSpeedCallback(None, verbose=0)])
    assert seen == [where]
    assert hooks_on(model) == []
    owners = [model, *model.metrics, model.optimizer, torch.autograd]
    assert [left_on(owner) for owner in owners] == [set()] * len(owners)


def test_a_graph_that_outlives_its_step_has_no_hooks():
    model = sequential()
    model.compile("sgd", "mse")
    tool = torch_parts.TorchTool(model, False)
    x = torch.as_tensor(batches()[0][:8])
    kept = []

    def train_step(data):
        kept.append(model(data, training=True).sum())
        kept[-1].backward(retain_graph=True)

    tool.start()
    tool.run(train_step, x)
    marks = tool.stop()
    assert [layer for _, part, layer in marks if part == "backward" and layer][:2] == ["last", "lstm"]
    count, tool._inside = len(marks), True
    kept[0].backward()
    assert len(marks) == count


def test_a_failure_in_a_hook_is_kept_for_later():
    model = sequential()
    model.compile("sgd", "mse")
    tool = torch_parts.TorchTool(model, False)
    tool.start()
    tool._track.enter_layer = None
    model.make_train_function()
    tool.run(model.train_function, [[value[:8] for value in batches()]])
    assert model.optimizer.iterations == 1
    with pytest.raises(TypeError):
        tool.stop()
    assert hooks_on(model) == []


def test_of_two_fits_at_a_time_one_is_looked_into():
    before, tools = torch.autograd._engine_run_backward, []
    for _ in range(2):
        model = sequential()
        model.compile("sgd", "mse")
        model.make_train_function()
        tools.append(torch_parts.TorchTool(model, False))
        tools[-1].start()
    first, second = tools
    data = [[value[:8] for value in batches()]]

    def step(_):
        return second.run(second._model.train_function, data)

    first.run(step, data)
    assert torch.autograd._engine_run_backward is before
    assert second._model.optimizer.iterations == 1
    with pytest.raises(Unavailable, match="another thread"):
        second.stop()
    second.start()
    step(None)
    assert len(second.stop()) > 5


class Moment:
    """Stands in for an event of a GPU whose clock moves by one millisecond an event."""

    made = 0

    def __init__(self, enable_timing):
        assert enable_timing
        self.at_ms = None

    def record(self):
        Moment.made += 1
        self.at_ms = float(Moment.made)

    def elapsed_time(self, end):
        return end.at_ms - self.at_ms


def test_on_a_gpu_the_device_has_the_clock(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Moment)
    model = sequential()
    model.compile("sgd", "mse", metrics=["mae"])
    tool = torch_parts.TorchTool(model, True)
    tool.start()
    model.make_train_function()
    for _ in range(2):
        tool.run(model.train_function, [[value[:8] for value in batches()]])
    before = Moment.made
    sample = tool.decode(tool.stop(), 2)
    assert Moment.made == before
    assert sample.parts["transfer"] == pytest.approx(1e-3)  # the batch is on the host until the model is called
    intervals = before / 2 - 2  # what lies between the steps, and looking at the graph, is no part of them
    assert sum(sample.parts.values()) == pytest.approx(intervals * 1e-3)
    assert sample.layers["first"] == pytest.approx((1e-3, 1e-3))


def test_a_pass_for_given_inputs_is_charged_to_the_layers_it_runs_through():
    model = sequential()
    model.compile("sgd", "mse")
    tool = torch_parts.TorchTool(model, False)
    x = torch.as_tensor(batches()[0][:8]).requires_grad_()

    def train_step(data):
        hidden = model.layers[0](data)
        side = model.layers[1](hidden)
        (slope,) = torch.autograd.grad((hidden * 2).sum() + side.sum(), hidden)
        model.optimizer.apply([torch.zeros_like(v.value) for v in model.trainable_variables], model.trainable_variables)
        return slope

    tool.start()
    tool.run(train_step, x)
    sample = tool.decode(tool.stop(), 1)
    assert sample.layers["first"][1] == 0  # its own weights are not asked for
    assert sample.layers["norm"][1] > 0


def test_no_sample_of_a_step_that_cannot_be_told():
    model = sequential()
    model.compile("sgd", "mse")
    tool = torch_parts.TorchTool(model, False)
    tool.start()
    tool.run(lambda x: model(x).sum().backward(), torch.as_tensor(batches()[0][:8]))
    with pytest.raises(RuntimeError, match="optimizer"):
        tool.decode(tool.stop(), 1)


def test_what_torch_compiles_has_no_hooks():
    model = sequential()
    model.compile("sgd", "mse", jit_compile=True)
    model.make_train_function()
    with pytest.raises(Unavailable, match="compiles"):
        deep_tool(model)
    model.compile("sgd", "mse", jit_compile=False)
    model.make_train_function()
    assert isinstance(deep_tool(model), torch_parts.TorchTool)
    model.faster = torch.compile(torch.nn.Linear(4, 4))
    with pytest.raises(Unavailable, match="compiles"):
        deep_tool(model)
