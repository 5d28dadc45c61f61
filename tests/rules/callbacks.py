"""The rows of the CB rules."""

import dataclasses

from tb_trainspeed.profile import CallbackFacts, Data, Hook, Layer, NestedCall, Timeline, Validation
from tb_trainspeed.rules.callbacks import batches, epochs, model_calls, validation
from tb_trainspeed.rules.rule import NotApplicable, Passed
from tests.rules.rows import STEADY, fires, silent

BATCH_HOOK = Hook("Logger", "on_train_batch_end", "callbacks", 300, 1.5, 0.02)
EPOCH_HOOK = Hook("Plots", "on_epoch_end", "callbacks", 3, 1.5, 1.0)
SAVES = Hook("ModelCheckpoint", "on_train_batch_end", "checkpointing", 300, 3.0, 0.02)
BAR = Hook("ProgbarLogger", "on_train_batch_end", "callbacks", 300, 1.5, 0.02)
SAVE_EACH = CallbackFacts("ModelCheckpoint", "MonitorCallback", {"save_freq": "1"})
BOARD = CallbackFacts("TensorBoard", "Callback", {"histogram_freq": "1", "update_freq": "epoch"})
BOARD_HOOK = Hook("TensorBoard", "on_epoch_end", "callbacks", 3, 1.5, 0.6)
SAVES_EPOCHS = dataclasses.replace(SAVES, hook="on_epoch_end", calls=3)
SAVE_EPOCHS = CallbackFacts("ModelCheckpoint", "MonitorCallback", {"save_freq": "epoch", "monitor": "val_loss"})
OWN = {"callbacks": (CallbackFacts("Logger", "Callback"),), "steps": 300, "steps_per_execution": 1}

CB01 = {"hooks": (BATCH_HOOK,), "nested_calls": (), "steady": STEADY, **OWN}
CB02 = {
    "nested_calls": (NestedCall("Logger", "on_train_batch_end", "predict", 300, 1.4),),
    **OWN,
    "hooks": (BATCH_HOOK,),
    "epochs": 3,
    "steady": dataclasses.replace(STEADY, phases={"compute": 4.2, "callbacks": 1.5, "gc": 0.3}),
}
CB03 = {
    "hooks": (SAVES,),
    "callbacks": (SAVE_EACH,),
    "checkpoint_share": 0.4,
    "steps": 300,
    "steps_per_execution": 1,
    "epochs_planned": 10,
    "steady": STEADY,
}
CB04 = {"hooks": (BOARD_HOOK,), "callbacks": (BOARD,), "steps": 300, "epochs": 3, "steady": STEADY}
CB05 = {"hooks": (BAR,), "steps": 300, "steady": STEADY}
CB06 = {
    "backend": "tensorflow",
    "steady": STEADY,
    "validation_share": 0.5,
    "validation": Validation(runs=3, steps=30, step_s=0.02, batch_size=64, frequency=1),
    "callbacks": (),
    "epochs_planned": 10,
    "layers": (Layer("dense", "Dense", 4096, 4096, forward_flops=8192),),
    "accelerator_flops": (),
}
CB07 = {
    "steady": dataclasses.replace(STEADY, epoch_s=0.1, steps_per_epoch=2),
    "restart_s": 0.05,
    "epochs_planned": 150,
    "callbacks": (),
    "data": Data("ArrayDataAdapter", batch_size=32),
}
CB08 = {
    "backend": "jax",
    "accelerators": ("GPU",),
    "hooks": (BATCH_HOOK,),
    "callbacks": (CallbackFacts("Logger", "Callback"),),
    "dispatch_s": 0.001,
}
CB09 = {
    "nested_calls": (NestedCall("Logger", "on_train_batch_end", "get_weights", 300, 1.0),),
    "hooks": (BATCH_HOOK,),
    "steady": STEADY,
    **OWN,
}
CB10 = {
    "hooks": (EPOCH_HOOK,),
    "nested_calls": (),
    "callbacks": (CallbackFacts("Plots", "Callback"),),
    "epochs_planned": 10,
    "steady": STEADY,
}
GROWS = Timeline(30, steps=(30,) * 10, phases={"callbacks": tuple(0.1 + 0.05 * bucket for bucket in range(10))})
CB11 = {"timeline": GROWS, "hooks": (BATCH_HOOK,), "epochs": 5, "steady": STEADY}


def _callbacks(*seconds):
    return dataclasses.replace(GROWS, phases={"callbacks": seconds})


FIRES = [
    fires(batches.slow_batch_callback, CB01),
    fires(batches.slow_batch_callback, CB01, "several steps a call", steps_per_execution=32),
    fires(
        batches.slow_batch_callback, CB01, "named as the history is",
        hooks=(dataclasses.replace(BATCH_HOOK, callback="HistoryPlotter"),),
    ),
    fires(model_calls.predict_in_callback, CB02, "every batch"),
    fires(model_calls.predict_in_callback, CB02, "several steps a call", steps_per_execution=32),
    fires(
        model_calls.predict_in_callback, CB02, "evaluate",
        nested_calls=(NestedCall("Logger", "on_train_batch_end", "evaluate", 300, 1.4),),
    ),
    fires(
        model_calls.predict_in_callback, CB02, "every epoch",
        nested_calls=(NestedCall("Logger", "on_epoch_end", "evaluate", 3, 1.4),),
    ),
    fires(model_calls.checkpoint_too_often, CB03, "every batch"),
    fires(
        model_calls.checkpoint_too_often, CB03, "every epoch", hooks=(SAVES_EPOCHS,), callbacks=(SAVE_EPOCHS,),
    ),
    fires(
        model_calls.checkpoint_too_often, CB03, "code of its own", callbacks=(CallbackFacts("Mine", "Callback"),),
        hooks=(dataclasses.replace(SAVES, callback="Mine"),),
    ),
    fires(
        model_calls.checkpoint_too_often, CB03, "code of its own, every epoch",
        callbacks=(CallbackFacts("Mine", "Callback"),), hooks=(dataclasses.replace(SAVES_EPOCHS, callback="Mine"),),
    ),
    fires(
        model_calls.checkpoint_too_often, CB03, "the best epoch", hooks=(SAVES_EPOCHS,),
        callbacks=(CallbackFacts("ModelCheckpoint", "Callback", {"save_freq": "epoch", "save_best_only": "True"}),),
    ),
    fires(batches.tensorboard_heavy, CB04, "histograms"),
    fires(
        batches.tensorboard_heavy, CB04, "every batch",
        hooks=(dataclasses.replace(BOARD_HOOK, hook="on_train_batch_end", calls=300),),
        callbacks=(CallbackFacts("TensorBoard", "Callback", {"update_freq": "1"}),),
    ),
    fires(batches.progress_bar, CB05),
    fires(validation.validation_dominates, CB06, "less often"),
    fires(
        validation.validation_dominates, CB06, "larger batches",
        validation=Validation(runs=3, steps=300, step_s=0.002, batch_size=32), epochs_planned=1,
    ),
    fires(validation.validation_dominates, CB06, "fewer batches", callbacks=(SAVE_EPOCHS,)),
    fires(
        validation.validation_dominates, CB06, "in epochs of a list", validation=Validation(3, 300, 0.002, None, None)
    ),
    fires(validation.tiny_epochs, CB07, "arrays"),
    fires(validation.tiny_epochs, CB07, "a generator", data=Data("GeneratorDataAdapter")),
    fires(validation.tiny_epochs, CB07, "a PyDataset", data=Data("PyDatasetAdapter", kind="Train")),
    fires(validation.tiny_epochs, CB07, "a DataLoader", data=Data("TorchDataLoaderAdapter")),
    fires(
        validation.tiny_epochs, CB07, "arrays in part", data=Data("ArrayDataAdapter", batch_size=32, steps_per_epoch=2)
    ),
    fires(validation.tiny_epochs, CB07, "dataset", data=Data("TFDatasetAdapter"), callbacks=(SAVE_EACH,)),
    fires(batches.synchronous_callback, CB08),
    fires(
        batches.synchronous_callback, CB08, "Keras' own", callbacks=(SAVE_EPOCHS,),
        hooks=(dataclasses.replace(SAVES, total_s=0.001),),
    ),
    fires(batches.weights_each_batch, CB09),
    fires(epochs.epoch_end_heavy, CB10),
    fires(
        epochs.epoch_end_heavy, CB10, "of Keras", hooks=(dataclasses.replace(EPOCH_HOOK, callback="EarlyStopping"),),
        callbacks=(CallbackFacts("EarlyStopping", "MonitorCallback"),),
    ),
    fires(epochs.callback_state_grows, CB11),
]  # fmt: skip

SILENT = [
    silent(
        batches.slow_batch_callback, CB01, Passed, "quick", hooks=(dataclasses.replace(BATCH_HOOK, total_s=0.25),)
    ),
    silent(batches.slow_batch_callback, CB01, NotApplicable, "Keras' own", hooks=(BAR,)),
    silent(batches.slow_batch_callback, CB01, NotApplicable, "predicts", nested_calls=CB02["nested_calls"]),
    silent(
        batches.slow_batch_callback, CB01, NotApplicable, "TensorBoard", callbacks=(BOARD,),
        hooks=(dataclasses.replace(BATCH_HOOK, callback="TensorBoard"),),
    ),
    silent(model_calls.predict_in_callback, CB02, Passed, "none", nested_calls=()),
    silent(
        model_calls.predict_in_callback, CB02, Passed, "once, at the end",
        nested_calls=(NestedCall("Logger", "on_train_end", "evaluate", 1, 10.0),),
    ),
    silent(model_calls.predict_in_callback, CB02, Passed, "reads weights", nested_calls=CB09["nested_calls"]),
    silent(
        model_calls.predict_in_callback, CB02, Passed, "seldom",
        nested_calls=(NestedCall("Logger", "on_epoch_end", "predict", 3, 0.1),),
    ),
    silent(model_calls.checkpoint_too_often, CB03, Passed, "cheap", checkpoint_share=0.04),
    silent(model_calls.checkpoint_too_often, CB03, NotApplicable, "none", hooks=(BATCH_HOOK,)),
    silent(
        model_calls.checkpoint_too_often, CB03, NotApplicable, "once, at the end",
        hooks=(dataclasses.replace(SAVES, hook="on_train_end", calls=1),),
    ),
    silent(
        model_calls.checkpoint_too_often, CB03, NotApplicable, "one epoch", epochs_planned=1, hooks=(SAVES_EPOCHS,),
        callbacks=(SAVE_EPOCHS,),
    ),
    silent(
        model_calls.checkpoint_too_often, CB03, Passed, "each is cheap", checkpoint_share=0.08,
        hooks=(SAVES, dataclasses.replace(SAVES, callback="BackupAndRestore")),
    ),
    silent(
        model_calls.checkpoint_too_often, CB03, Passed, "the best epoch, in code of its own",
        hooks=(dataclasses.replace(SAVES_EPOCHS, callback="Mine"),),
        callbacks=(CallbackFacts("Mine", "Callback", {"save_best_only": "True"}),),
    ),
    silent(
        model_calls.checkpoint_too_often, CB03, Passed, "the weights of the best epoch", hooks=(SAVES_EPOCHS,),
        callbacks=(
            dataclasses.replace(
                SAVE_EPOCHS,
                options={"save_freq": "epoch", "save_best_only": "True", "save_weights_only": "True"},
            ),
        ),
    ),
    silent(batches.tensorboard_heavy, CB04, NotApplicable, "none", hooks=(BATCH_HOOK,)),
    silent(batches.tensorboard_heavy, CB04, Passed, "cheap", hooks=(dataclasses.replace(BOARD_HOOK, total_s=0.29),)),
    silent(
        batches.tensorboard_heavy, CB04, Passed, "defaults",
        callbacks=(CallbackFacts("TensorBoard", "Callback", {"histogram_freq": "0", "update_freq": "epoch"}),),
    ),
    silent(batches.progress_bar, CB05, NotApplicable, "none", hooks=(BATCH_HOOK,)),
    silent(
        batches.progress_bar, CB05, Passed, "trap: into a file", hooks=(dataclasses.replace(BAR, total_s=0.8),)
    ),
    silent(validation.validation_dominates, CB06, Passed, "just below", validation_share=0.24),
    silent(validation.validation_dominates, CB06, NotApplicable, "none", validation=Validation()),
    silent(validation.validation_dominates, CB06, NotApplicable, "one epoch", epochs_planned=1),
    silent(
        validation.validation_dominates, CB06, Passed, "as seldom as it can be", epochs_planned=9,
        validation=dataclasses.replace(CB06["validation"], frequency=5),
    ),
    silent(
        validation.validation_dominates, CB06, Passed, "of a single batch", callbacks=(SAVE_EPOCHS,),
        validation=dataclasses.replace(CB06["validation"], steps=3),
    ),
    silent(validation.tiny_epochs, CB07, NotApplicable, "few epochs", epochs_planned=9),
    silent(validation.tiny_epochs, CB07, Passed, "long epochs", steady=STEADY),
    silent(validation.tiny_epochs, CB07, Passed, "quick boundary, as on JAX", restart_s=0.024),
    silent(batches.synchronous_callback, CB08, NotApplicable, "trap: on a CPU", accelerators=()),
    silent(batches.synchronous_callback, CB08, NotApplicable, "TensorFlow", backend="tensorflow"),
    silent(batches.synchronous_callback, CB08, Passed, "Keras' own", hooks=(BAR,)),
    silent(
        batches.synchronous_callback, CB08, Passed, "says it is safe",
        callbacks=(CallbackFacts("Logger", "Callback", {"async_safe": "True"}),),
    ),
    silent(
        batches.synchronous_callback, CB08, Passed, "saves after a batch", hooks=(BATCH_HOOK, SAVES),
        callbacks=(*CB08["callbacks"], SAVE_EACH),
    ),
    silent(
        batches.synchronous_callback, CB08, Passed, "stops training",
        hooks=(BATCH_HOOK, dataclasses.replace(BATCH_HOOK, callback="TerminateOnNaN", hook="on_batch_end")),
    ),
    silent(batches.weights_each_batch, CB09, Passed, "none", nested_calls=CB02["nested_calls"]),
    silent(
        batches.weights_each_batch, CB09, Passed, "at the end of an epoch",
        nested_calls=(NestedCall("Logger", "on_epoch_end", "get_weights", 3, 1.0),),
    ),
    silent(
        batches.weights_each_batch, CB09, Passed, "quick",
        nested_calls=(NestedCall("Logger", "on_train_batch_end", "get_weights", 300, 0.29),),
    ),
    silent(epochs.epoch_end_heavy, CB10, NotApplicable, "none", hooks=(BATCH_HOOK,)),
    silent(epochs.epoch_end_heavy, CB10, NotApplicable, "one epoch", epochs_planned=1),
    silent(
        epochs.epoch_end_heavy, CB10, Passed, "only its first call",
        hooks=(dataclasses.replace(EPOCH_HOOK, max_s=1.31),),
    ),
    silent(
        epochs.epoch_end_heavy, CB10, NotApplicable, "evaluates",
        nested_calls=(NestedCall("Plots", "on_epoch_end", "evaluate", 3, 1.4),),
    ),
    silent(epochs.callback_state_grows, CB11, Passed, "steady", timeline=_callbacks(*[0.3] * 10)),
    silent(
        epochs.callback_state_grows, CB11, Passed, "one slow fifth",
        timeline=_callbacks(0.1, 0.1, 0.2, 0.2, 0.5, 0.5, 0.3, 0.3, 0.6, 0.6),
    ),
    silent(
        epochs.callback_state_grows, CB11, Passed, "grows a little",
        timeline=_callbacks(*(0.1 + 0.005 * bucket for bucket in range(10))),
    ),
    silent(
        epochs.callback_state_grows, CB11, Passed, "costs little",
        timeline=_callbacks(*(0.01 + 0.005 * bucket for bucket in range(10))),
    ),
    silent(epochs.callback_state_grows, CB11, NotApplicable, "a short fit", epochs=4),
    silent(epochs.callback_state_grows, CB11, NotApplicable, "every epoch", hooks=(EPOCH_HOOK,)),
    silent(epochs.callback_state_grows, CB11, NotApplicable, "no time line", timeline=Timeline()),
    silent(epochs.callback_state_grows, CB11, NotApplicable, "Keras' own", hooks=(BAR,)),
]  # fmt: skip
