"""Before a task: document -> its ID, so that the IDs of any indexer are known when something is asked."""

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.corpus.tokens import length_bucketed_batches
from lmindexer.methods.generative.eq14 import freeze_what_reads, id_codes, id_loss, parameter_groups
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.retriever import Asked
from lmindexer.methods.teachable import TeachingState
from lmindexer.progress import Progress
from lmindexer.runs import Run
from lmindexer.training import Stage, Trainer


def warm_up(
    finetuned: GenerativeModel,
    trainer: Trainer[TeachingState],
    run: Run,
    progress: Progress,
    later: np.ndarray,
) -> None:
    """Document -> its ID, by what decodes alone; skipped where a checkpoint says that it was done.

    Of the documents `later` (rows) nothing is learned.
    """
    config, model = finetuned.config, finetuned.model
    codes = id_codes(finetuned)
    if "agreement" not in trainer.done:
        freeze_what_reads(finetuned)
        documents = finetuned.documents(run.path)
        documents.fill(progress)
        learned = np.ones(len(documents), dtype=bool)
        learned[later] = False
        if run.config.indexer != "lmindexer":
            trainer.once("codebooks", lambda: _start_codebooks(finetuned, documents, codes, learned))

        def losses(rows: np.ndarray) -> dict[str, Tensor]:
            targets = codes[torch.from_numpy(rows).to(codes.device)]
            alike = torch.ones(len(rows), device=codes.device)
            return {"loss": id_loss(finetuned, documents.memory(rows), targets, alike)}

        rows = np.flatnonzero(learned)
        trainer.run(
            Stage(
                name="document -> ID",
                epochs=config.warmup_epochs,
                batches=lambda rng: [
                    rows[places] for places in length_bucketed_batches(documents.lengths[rows], config.batch_size, rng)
                ],
                losses=losses,
                parameters=parameter_groups(finetuned, model, config.learning_rate[0]),
                learning=[model],
                rate="--learning-rate",
            )
        )

        def measure() -> None:
            agreement = _agreement(finetuned, documents, codes, learned)
            trainer.state.agreement = torch.tensor(agreement)
            right = f"{agreement:.1%} of {len(rows):,} documents their own ID, last number included"
            progress.say(f"before the task, the model gives {right}")

        trainer.once("agreement", measure)


@torch.no_grad()
def _start_codebooks(finetuned: GenerativeModel, documents: Asked, codes: Tensor, learned: np.ndarray) -> None:
    """A start for codebooks that this model did not learn: each code the mean h^t of the documents that have it.

    Of the documents that are `learned` (N,) alone.
    """
    model = finetuned.model.eval()
    known = torch.from_numpy(np.flatnonzero(learned)).to(finetuned.device)
    for t, codebook in enumerate(model.codebooks):
        model.centre[t] = 0
        hidden = torch.empty(len(documents), model.backbone.dim, device=finetuned.device)
        for rows in documents.batches(256):
            places = torch.from_numpy(rows).to(finetuned.device)
            hidden[places] = model(documents.memory(rows), codes[places, :t])[:, -1]
        hidden = hidden[known]
        model.centre[t] = hidden.mean(0)
        hidden = nn.functional.rms_norm(hidden - model.centre[t], (hidden.shape[1],))
        sums = torch.randn_like(codebook.weight) * 0.02  # a code without documents
        sums.index_add_(0, codes[known, t], hidden)
        codebook.initialise(sums, torch.zeros_like(codebook.prior))


@torch.no_grad()
def _agreement(finetuned: GenerativeModel, documents: Asked, codes: Tensor, learned: np.ndarray) -> float:
    """Share of the `learned` documents (N,) to which the model gives their own ID, greedily."""
    model, same = finetuned.model.eval(), 0
    for rows in documents.batches(256):
        rows = rows[learned[rows]]
        if len(rows):
            given = model.generate(documents.memory(rows))
            same += int((given == codes[torch.from_numpy(rows).to(codes.device)]).all(1).sum())
    return same / max(int(learned.sum()), 1)
