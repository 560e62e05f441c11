"""What happens inside a step: framing, sampling, scoring, with every seed derived from the run's."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from merf.core.problem import Messages, Problem, Prompt
from merf.core.progress import Progress
from merf.core.recipe import Recipe
from merf.core.response import Responses, Scores
from merf.core.rollouts import Rollouts
from merf.core.sampling import Sample, Sampling
from merf.core.seeds import derive
from merf.policy.policy import Encoded, Policy, pad_records, pad_rows
from merf.rollout.played import play
from merf.rules.conditions import right_answers
from merf.tasks.environment import PlayedTask, is_played
from merf.train.learner import TrainingStopped, out_of_memory
from merf.train.parallel import World

log = logging.getLogger("merf")


class StepContext:
    """The `Context` of a training run. `begin` opens a step; the rest may be called as often as needed."""

    def __init__(
        self, recipe: Recipe, policy: Policy, world: World, on_tokens: Callable[[int], None] = lambda n: None
    ) -> None:
        self.recipe, self.policy, self.world, self.on_tokens = recipe, policy, world, on_tokens
        self.progress = Progress(0, recipe.steps)
        self.round = 0
        self.most_rows: int | None = None  # decoded at once; set when memory has run out

    def begin(self, progress: Progress) -> None:
        self.progress, self.round = progress, 0
        self.policy.publish(progress.step)

    @property
    def sampling(self) -> Sampling:
        return self.recipe.sampling

    def frame(self, problem: Problem, member: int) -> Prompt:
        r = self.recipe
        return r.framing(problem, member, r.group_size, self.progress, r.rulebook)

    def sample(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[Prompt],
        group: Sequence[int],
        member: Sequence[int],
        how: Sampling | None = None,
    ) -> Rollouts:
        """One response to each prompt. Seeds depend on the run's seed, the step, the round within the step,
        and on group and member, so they are the same however many processes share the work."""
        how = how or self.recipe.sampling
        how = replace(how, record=how.record | {"entropy"})
        acting = [self.policy.encode(prompt.acting, prompt.prefill, prompt.ids) for prompt in prompts]
        learning = [self.policy.encode(prompt.learning, prompt.prefill, prompt.ids) for prompt in prompts]
        seeds = self._seeds(group, member)
        self.round += 1
        samples = self._draw([a.ids for a in acting], how, seeds, self.on_tokens)
        lengths = [len(s.tokens) for s in samples]
        width, device = max(lengths), self.policy.device
        length = torch.tensor(lengths, device=device)
        return Rollouts(
            problems=problems,
            prompts=prompts,
            acting=[a.ids for a in acting],
            learning=[a.ids for a in learning],
            tokens=pad_rows([s.tokens for s in samples], width, torch.long, device),
            mask=torch.arange(width, device=device) < length[:, None],
            logprobs=pad_rows([s.logprobs for s in samples], width, torch.float32, device),
            lengths=length,
            texts=[
                a.opening + self.policy.chat.decode(s.tokens, self.policy.stops)
                for a, s in zip(acting, samples, strict=True)
            ],
            finished=[s.finished for s in samples],
            group=np.asarray(group, np.int64),
            member=list(member),
            trajectory=np.arange(len(prompts)),
            source=["policy"] * len(prompts),
            extras={
                name: pad_records([s.extras[name] for s in samples], width, device)
                for name in sorted(how.record)
                if all(name in s.extras for s in samples)  # servers record nothing
            },
        )

    def sample_all(
        self, problems: Sequence[Problem], prompts: Sequence[Messages], how: Sampling, seeds: Sequence[int]
    ) -> list[tuple[Sample, str]]:
        """One response to each prompt with given seeds, the work shared among processes; for evaluation. Tasks that
        are played in turns are played."""
        rows = self.world.share(range(len(prompts)))
        encoded = [self.policy.encode(prompts[i]) for i in rows]
        if not rows:
            return self.world.gather([])
        if is_played(self.recipe.task):
            return self.world.gather(
                self._played(self.recipe.task, [problems[i] for i in rows], encoded, how, [seeds[i] for i in rows])
            )
        drawn = self._draw([e.ids for e in encoded], how, [seeds[i] for i in rows])
        return self.world.gather(
            [
                (sample, e.opening + self.policy.chat.decode(sample.tokens, self.policy.stops))
                for e, sample in zip(encoded, drawn, strict=True)
            ]
        )

    def _played(
        self, task: PlayedTask, problems: Sequence[Problem], prompts: list[Encoded], how: Sampling, seeds: list[int]
    ) -> list[tuple[Sample, str]]:
        def draw(rows: Sequence[int], so_far: Sequence[tuple[int, ...]], turn: Sampling) -> list[Sample]:
            ids = [[*prompts[i].ids, *more] for i, more in zip(rows, so_far, strict=True)]
            return self._draw(ids, turn, [derive(seeds[i], len(more)) for i, more in zip(rows, so_far, strict=True)])

        played = play(task, problems, prompts, how, self.policy, draw)
        return [(Sample(one.tokens, one.logprobs, one.finished, one.extras), one.text) for one in played]

    def _draw(
        self,
        prompts: Sequence[list[int]],
        how: Sampling,
        seeds: Sequence[int],
        on_tokens: Callable[[int], None] = lambda n: None,
    ) -> list[Sample]:
        """One response to each prompt. Out of memory, half as many are decoded at once; that changes no response."""
        for attempt in (1, 2):
            rows = min(how.max_rows, self.most_rows or how.max_rows)
            try:
                return self.policy.sample(prompts, replace(how, max_rows=rows), seeds, on_tokens)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                at_once = min(rows, len(prompts))
                if attempt == 2 or at_once == 1:
                    raise TrainingStopped(
                        f"out of memory even with {at_once} responses sampled at a time: lower --max-tokens, "
                        f"--problems or --group-size ({str(error).splitlines()[0]})"
                    ) from error
                self.most_rows = at_once // 2
                log.warning("out of memory: sampling %d responses at a time instead of %d", at_once // 2, at_once)
        raise AssertionError("not reached")

    def _seeds(self, group: Sequence[int], member: Sequence[int]) -> list[int]:
        """A seed per row; rows of the same group and member are told apart by order."""
        seen: Counter[tuple[int, int]] = Counter()
        seeds = []
        for place in zip(group, member, strict=True):
            whole = place[0] * self.world.size + self.world.rank
            seeds.append(
                derive(self.recipe.seed, "rollout", self.progress.step, self.round, whole, place[1], seen[place])
            )
            seen[place] += 1
        return seeds

    def responses(self, rollouts: Rollouts) -> Responses:
        """The attempts as the rules see them."""
        if self.recipe.truncated == "as-is":
            rollouts = replace(rollouts, finished=[True] * len(rollouts))
        task = self.recipe.task
        return rollouts.responses(task.layout, task.verify, self.progress, self.policy)

    def score(self, rollouts: Rollouts) -> Scores:
        """The rulebook's scores, then what the judges make of them; too many failed verifiers stop the run."""
        responses = self.responses(rollouts)
        scores = self.recipe.rulebook.score(responses)
        share = scores.failed / max(len(scores.total), 1)
        if share > self.recipe.failures:
            first = next(note for note, total in zip(scores.notes, scores.total, strict=True) if np.isnan(total))
            raise TrainingStopped(
                f"{scores.failed} of {len(scores.total)} responses got no reward because their verifier failed "
                f"(first: {first or 'no note'}). Fix the verifier, or allow more with `failures`."
            )
        if self.recipe.judges:
            scores = replace(scores, right=right_answers(responses))
        for judge in self.recipe.judges:
            scores = judge.judge(rollouts, scores, self.policy)
        return scores
