"""The training loop: a run stopped anywhere and resumed ends bit for bit as if it had not been stopped."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lmindexer import training
from lmindexer.errors import InputError
from lmindexer.progress import Progress
from lmindexer.training import Stage, Trainer, TrainingState, filled

N, EPOCHS = 20, 3  # rows; epochs a stage
BATCHES = 4
STEPS = 2 * EPOCHS * BATCHES
CLOCK = {"seconds": 0}  # of the tests that use the fixture below


class StoppedError(Exception):
    """The power goes."""


@dataclass
class Found(TrainingState):
    """What the stages below leave."""

    codes: Tensor | None = None
    epochs: Tensor | None = None


class Run:
    """Two stages with dropout, and one thing done once between them; `stop_at` a step the power goes."""

    def __init__(self, folder: Path, stop_at: int | None = None, every_step: bool = True) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.trainer = Trainer(self.model, folder, 1, 1.0, False, 0.0 if every_step else 1e9, Progress(None), Found())
        self.x = torch.randn(N, 4, generator=torch.Generator().manual_seed(5))
        self.steps, self.stop_at, self.resumed = 0, stop_at, self.trainer.resume()

    def losses(self, rows: np.ndarray) -> dict[str, Tensor]:
        if self.steps == self.stop_at:
            raise StoppedError
        self.steps += 1
        CLOCK["seconds"] += 1
        loss = (self.model(self.x[rows]) - self.x[rows].sum(1, keepdim=True)).square().mean()
        return {"loss": loss, "noise": torch.rand(())}

    def stage(self, name: str, **changes: object) -> Stage:
        groups = [{"params": list(self.model.parameters()), "lr": 0.01, "weight_decay": 0.01}]
        given = {
            "name": name,
            "epochs": EPOCHS,
            "batches": batches,
            "losses": self.losses,
            "parameters": groups,
        }
        return Stage(**(given | {"learning": [self.model]} | changes))

    def to_the_end(self) -> "Run":
        self.trainer.run(self.stage("first"))
        self.trainer.once("between", self.find)
        self.trainer.run(self.stage("second"))
        return self

    def find(self) -> None:
        self.trainer.state.codes = torch.randperm(N)

    @property
    def parameters(self) -> Tensor:
        return nn.utils.parameters_to_vector(self.model.parameters()).detach()


def batches(rng: np.random.Generator) -> list[np.ndarray]:
    return np.array_split(rng.permutation(N), BATCHES)


def logged(folder: Path) -> list[dict[str, object]]:
    """The log without its times."""
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


@pytest.fixture
def checkpoint_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a step takes a second and a checkpoint no time."""
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: CLOCK["seconds"]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return Run(folder, every_step=False).to_the_end(), folder


@pytest.mark.usefixtures("checkpoint_every_step")
@pytest.mark.parametrize("stop_at", range(1, STEPS))
def test_stopped_anywhere_it_ends_the_same(whole: tuple[Run, Path], tmp_path: Path, stop_at: int):
    with pytest.raises(StoppedError):
        Run(tmp_path, stop_at).to_the_end()
    run = Run(tmp_path)
    assert run.resumed
    run.to_the_end()
    assert run.steps == STEPS - stop_at, "no step is done twice"
    assert torch.equal(run.parameters, whole[0].parameters)
    assert torch.equal(filled(run.trainer.state.codes), filled(whole[0].trainer.state.codes))
    assert logged(tmp_path) == logged(whole[1]), "each epoch once, with the numbers of the whole epoch"


@pytest.mark.parametrize("stop_at", [0, 3, 6, STEPS - 1])
def test_stopped_where_checkpoints_are_rare_it_ends_the_same(whole: tuple[Run, Path], tmp_path: Path, stop_at: int):
    with pytest.raises(StoppedError):
        Run(tmp_path, stop_at, every_step=False).to_the_end()
    run = Run(tmp_path, every_step=False).to_the_end()
    assert torch.equal(run.parameters, whole[0].parameters)
    assert logged(tmp_path) == logged(whole[1])


@pytest.mark.usefixtures("checkpoint_every_step")
def test_stopped_after_the_last_step_of_an_epoch_it_ends_the_same(whole: tuple[Run, Path], tmp_path: Path):
    run = Run(tmp_path)

    def stop(epoch: int) -> dict[str, float]:
        raise StoppedError

    with pytest.raises(StoppedError):
        run.trainer.run(run.stage("first", after_epoch=stop))
    assert torch.equal(Run(tmp_path).to_the_end().parameters, whole[0].parameters)
    assert logged(tmp_path) == logged(whole[1])


def test_the_log_tells_every_epoch_of_every_stage(whole: tuple[Run, Path]):
    records = logged(whole[1])
    assert [(r["stage"], r["epoch"]) for r in records] == [(s, e) for s in ("first", "second") for e in (1, 2, 3)]
    assert records[-1]["loss"] < records[0]["loss"]


def test_the_logged_loss_is_the_mean_over_batches(tmp_path: Path):
    run = Run(tmp_path)
    given = iter([1.0, 2.0, 3.0, 6.0])
    losses = lambda rows: {"loss": next(given) + 0 * run.losses(rows)["loss"]}  # noqa: E731
    run.trainer.run(run.stage("only", epochs=1, losses=losses))
    assert logged(tmp_path)[0]["loss"] == 3.0


def test_finished_stages_are_skipped(whole: tuple[Run, Path], tmp_path: Path):
    Run(tmp_path).to_the_end()
    again = Run(tmp_path).to_the_end()
    assert again.steps == 0
    assert torch.equal(again.parameters, whole[0].parameters)
    again.trainer.once("between", pytest.fail)
    assert logged(tmp_path) == logged(whole[1])


def test_a_stage_of_no_epochs_is_done_at_once(tmp_path: Path):
    run = Run(tmp_path)
    run.trainer.run(run.stage("nothing", epochs=0))
    assert (run.steps, run.trainer.done) == (0, ["nothing"])


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path):
    assert not Run(tmp_path).resumed


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, bad: float):
    run = Run(tmp_path)
    with pytest.raises(InputError, match=r"no longer a number in 'first', epoch 1; .*--learning-rate"):
        run.trainer.run(run.stage("first", losses=lambda rows: {"loss": run.losses(rows)["loss"] * bad}))
    with pytest.raises(InputError, match=r"in 'second', .* with a lower --other-rate or"):
        run.trainer.run(
            run.stage("second", losses=lambda rows: {"loss": run.losses(rows)["loss"] * bad}, rate="--other-rate")
        )


def test_the_learning_rate_rises_then_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def watched(self: torch.optim.AdamW, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    run = Run(tmp_path)
    run.trainer.run(run.stage("long", epochs=25))  # 100 steps
    top = int(np.argmax(rates))
    assert top == 5
    assert rates[top] == pytest.approx(0.01)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert 0 < rates[-1] < 0.001


def test_gradients_are_clipped_to_one_norm_over_all_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Gradients 3 and 4 in two groups have norm 5; clipped to 1 they are .6 and .8, not 1 and 1."""
    norms: list[list[float]] = []
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self: norms.append([p.grad.item() for group in self.param_groups for p in group["params"]]),
    )
    run = Run(tmp_path)
    run.model.register_parameter("first", first := nn.Parameter(torch.zeros(())))
    run.model.register_parameter("second", second := nn.Parameter(torch.zeros(())))
    groups = [{"params": [first], "lr": 0.1}, {"params": [second], "lr": 0.2}]
    for scale, clipped in ((1.0, [0.6, 0.8]), (0.1, [0.3, 0.4])):  # what is below the norm stays as it is
        norms.clear()
        losses = lambda rows, scale=scale: {"loss": scale * (3 * first + 4 * second)}  # noqa: E731
        run.trainer.run(run.stage(f"{scale}", epochs=1, losses=losses, parameters=groups))
        assert norms == [pytest.approx(clipped, abs=1e-5)] * BATCHES


def test_every_step_and_every_epoch_draw_their_own_numbers(tmp_path: Path):
    run = Run(tmp_path)
    drawn: list[float] = []
    read: list[tuple[int, ...]] = []

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        drawn.append(torch.rand(()).item())
        read.append(tuple(rows.tolist()))
        return run.losses(rows)

    run.trainer.run(run.stage("first", losses=losses))
    run.trainer.run(run.stage("second", losses=losses))
    assert len(set(drawn)) == STEPS
    epochs = [tuple(read[at : at + BATCHES]) for at in range(0, STEPS, BATCHES)]
    assert len(set(epochs)) == 2 * EPOCHS, "other company in every epoch"


def test_dropout_is_on_in_steps_and_off_after_an_epoch(tmp_path: Path):
    run = Run(tmp_path)
    seen: list[bool] = []

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        seen.append(run.model.training)
        return run.losses(rows)

    def after_epoch(epoch: int) -> dict[str, float]:
        seen.append(run.model.training)
        return {"told": float(epoch)}

    run.trainer.run(run.stage("only", epochs=2, losses=losses, after_epoch=after_epoch))
    assert seen == ([True] * BATCHES + [False]) * 2
    assert [record["told"] for record in logged(tmp_path)] == [0.0, 1.0]


def test_frozen_parameters_stay_out_of_the_checkpoint(tmp_path: Path):
    sizes = {}
    for frozen in ("", "0.weight"):
        run = Run(tmp_path)
        run.trainer.frozen = frozenset([frozen])
        run.trainer.finish(f"saved all but {frozen!r}")
        sizes[frozen] = (tmp_path / "checkpoint.safetensors").stat().st_size
    assert sizes["0.weight"] < sizes[""]
    with pytest.raises(InputError, match=r"is not of this model \(it differs in 0\.weight\)"):
        Run(tmp_path)


@pytest.mark.parametrize("changed", ["seed", "stage"])
def test_random_numbers_come_from_seed_and_stage(tmp_path: Path, changed: str):
    drawn: list[float] = []
    for i in range(2):
        (folder := tmp_path / str(i)).mkdir()
        run = Run(folder)
        run.trainer.seed = i if changed == "seed" else 1
        draw: Callable[[], None] = lambda: drawn.append(torch.rand(()).item())  # noqa: E731
        run.trainer.once(f"draw {i}" if changed == "stage" else "draw", draw)
    assert drawn[0] != drawn[1]


def test_a_stage_ends_early_when_it_is_enough(tmp_path: Path):
    run = Run(tmp_path)
    asked: list[int] = []

    def enough() -> bool:
        asked.append(run.steps)
        return len(asked) == 2

    run.trainer.run(run.stage("long", epochs=9, enough=enough))
    assert asked == [BATCHES, 2 * BATCHES], "asked after each epoch, and not again"
    assert [record["epoch"] for record in logged(tmp_path)] == [1, 2]
    again = Run(tmp_path)
    again.trainer.run(again.stage("long", epochs=9, enough=enough))
    assert again.steps == 0, "it is done"
    assert torch.equal(again.parameters, run.parameters)


@pytest.mark.usefixtures("checkpoint_every_step")
@pytest.mark.parametrize("stop_at", [3, BATCHES, BATCHES + 1, 2 * BATCHES - 1])
def test_stopped_before_it_is_enough_it_ends_the_same(tmp_path: Path, stop_at: int):
    def long(run: Run) -> None:
        def after_epoch(epoch: int) -> dict[str, float]:
            run.trainer.state.epochs = torch.tensor(epoch + 1)
            return {}

        enough = lambda: bool(run.trainer.state.epochs == 2)  # noqa: E731
        run.trainer.run(run.stage("long", epochs=9, after_epoch=after_epoch, enough=enough))

    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    long(whole := Run(tmp_path / "whole"))
    with pytest.raises(StoppedError):
        long(Run(tmp_path / "stopped", stop_at))
    long(run := Run(tmp_path / "stopped"))
    assert torch.equal(run.parameters, whole.parameters)
    assert logged(tmp_path / "stopped") == logged(tmp_path / "whole")


def test_what_a_stage_does_not_list_stands_still_and_only_there(tmp_path: Path):
    run, seen = Run(tmp_path), list[tuple[bool, ...]]()
    first, _, last = run.model
    last.bias.requires_grad_(False)

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        seen.append(tuple(p.requires_grad for p in run.model.parameters()))
        return run.losses(rows)

    before = run.parameters
    only_last = [{"params": [last.weight], "lr": 0.01}]
    run.trainer.run(run.stage("first", epochs=1, losses=losses, parameters=only_last))
    assert set(seen) == {(False, False, True, False)}
    assert torch.equal(run.parameters[: 4 * 8 + 8], before[: 4 * 8 + 8])
    assert not torch.equal(run.parameters, before)
    assert [p.requires_grad for p in run.model.parameters()] == [True, True, True, False], "as it was"
    assert first.weight.grad is None


def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path: Path):
    run = Run(tmp_path)
    run.trainer.state.codes = torch.arange(3)
    run.trainer.finish("first")

    @dataclass
    class Other(TrainingState):
        ids: Tensor | None = None

    trainer = Trainer(run.model, tmp_path, 1, 1.0, False, 0.0, Progress(None), Other())
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is of an earlier version \(it holds 'codes'\)"):
        trainer.resume()


@pytest.mark.usefixtures("checkpoint_every_step")
@pytest.mark.parametrize("what", ["the loss", "a weight"])
def test_what_is_no_number_is_never_kept(tmp_path: Path, what: str):
    run = Run(tmp_path)

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        loss = run.losses(rows)["loss"]
        if run.steps == 3 and what == "a weight":
            loss.register_hook(lambda gradient: gradient * torch.nan)  # the loss is sound, the step is not
        return {"loss": loss * (torch.nan if run.steps >= 3 and what == "the loss" else 1)}

    with pytest.raises(InputError, match=rf"{what} is no longer a number in 'first'"):
        run.trainer.run(run.stage("first", losses=losses))
    kept = Run(tmp_path)
    assert kept.parameters.isfinite().all()
    kept.trainer.run(kept.stage("first"))
    assert kept.steps == STEPS // 2 - 2, "it goes on from the last sound step"


@pytest.mark.usefixtures("checkpoint_every_step")
@pytest.mark.parametrize("fault", ["cut", "flipped", "another model", "not a checkpoint"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_told(tmp_path: Path, fault: str):
    with pytest.raises(StoppedError):
        Run(tmp_path, 3).to_the_end()
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    if fault == "another model":
        run = Run.__new__(Run)
        run.model = nn.Sequential(nn.Linear(4, 9), nn.Dropout(0.3), nn.Linear(9, 1))
        with pytest.raises(InputError, match=r"is not of this model \(it differs in 0\.bias\); resume with"):
            Trainer(run.model, tmp_path, 1, 1.0, False, 0.0, Progress(None), Found()).resume()
        return
    damaged = {"cut": whole[:-10], "flipped": bytes([whole[0] ^ 64]) + whole[1:], "not a checkpoint": b"hello"}
    path.write_bytes(damaged[fault])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged .*; delete it to start from the begin"):
        Run(tmp_path)


@pytest.mark.usefixtures("checkpoint_every_step")
@pytest.mark.parametrize("lost", ["cut short", "zeros"])
def test_a_log_that_a_power_failure_cut_is_not_filled_up_with_zeros(tmp_path: Path, lost: str):
    with pytest.raises(StoppedError):
        Run(tmp_path, 2 * BATCHES + 1).to_the_end()
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes()
    half = len(whole) // 2 + 5
    log.write_bytes(whole[:half] + (b"\0" * (len(whole) - half) if lost == "zeros" else b""))
    run = Run(tmp_path)
    assert run.resumed
    assert [record["epoch"] for record in logged(tmp_path)] == [1], "the lines that are whole"
    run.to_the_end()
    assert b"\0" not in log.read_bytes()
