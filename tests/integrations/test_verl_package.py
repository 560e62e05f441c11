"""verl's own dataset and reward managers on exported files. `pytest tests/integrations -m verl` where
`pip install 'merf[train,verl]'` has been done; elsewhere these are skipped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from merf import Correct, Format, Rulebook
from merf.integrations.rows import solution_of
from merf.tasks import get

pytestmark = pytest.mark.verl
verl = pytest.importorskip("verl", reason="needs verl: pip install 'merf[train,verl]'")

BOOK = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return BOOK.for_verl(tmp_path_factory.mktemp("verl") / "countdown", "countdown", train=6, test=4, numbers=(3, 3))


@pytest.fixture(scope="module")
def tokenizer(saved_models: dict[str, Path]) -> Any:
    from verl.utils import hf_tokenizer

    return hf_tokenizer(str(saved_models["qwen2"]))


@pytest.fixture(scope="module")
def config(files: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """verl's configuration as its command line would make it, as far as data and rewards are concerned."""
    from omegaconf import OmegaConf

    return OmegaConf.merge(
        OmegaConf.create(
            {
                "data": {
                    "cache_dir": str(tmp_path_factory.mktemp("cache")),
                    "max_prompt_length": 2048,
                    "filter_overlong_prompts": True,
                    "filter_overlong_prompts_workers": 1,
                },
                "reward": {"reward_manager": {"source": "register", "name": "naive"}},
            }
        ),
        OmegaConf.from_dotlist(list(files.overrides)),
    )


def batch_of(config: Any, tokenizer: Any, path: Path, texts: list[str]) -> Any:
    """Rows as verl's dataset loads them, with `texts` for responses, as verl's rollout lays them out."""
    import torch
    from tensordict import TensorDict
    from verl import DataProto
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    dataset = RLHFDataset([str(path)], tokenizer, config.data)
    loaded = collate_fn([dataset[i] for i in range(len(texts))])
    prompts = [tokenizer.apply_chat_template(list(p), add_generation_prompt=True) for p in loaded["raw_prompt"]]
    prompts = [p["input_ids"] if isinstance(p, dict) or hasattr(p, "input_ids") else p for p in prompts]
    responses = [tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for text in texts]
    left, right = max(map(len, prompts)), max(map(len, responses))
    pad = tokenizer.pad_token_id or 0
    prompt_ids = torch.tensor([[pad] * (left - len(p)) + list(p) for p in prompts])
    response_ids = torch.tensor([r + [pad] * (right - len(r)) for r in responses])
    mask = torch.tensor(
        [
            [0] * (left - len(p)) + [1] * len(p) + [1] * len(r) + [0] * (right - len(r))
            for p, r in zip(prompts, responses, strict=True)
        ]
    )
    tensors = TensorDict({"prompts": prompt_ids, "responses": response_ids, "attention_mask": mask}, len(texts))
    others = {key: value for key, value in loaded.items() if not isinstance(value, torch.Tensor)}
    return DataProto(batch=tensors, non_tensor_batch=others)


def answers() -> list[str]:
    problems = get("countdown", numbers=(3, 3)).problems("train", 0)
    return [
        f"<think>so</think><answer>{solution_of(next(problems))}</answer>",
        "<think>so</think><answer>1</answer>",
        "no tags at all",
        "",
    ]


PAID = [3.0, -0.5, -3.0, -3.0]


def test_the_dataset_loads_and_its_prompts_carry_the_motivation(files: Any, tokenizer: Any, config: Any) -> None:
    from verl.utils.dataset.rl_dataset import RLHFDataset

    train = RLHFDataset(config.data.train_files, tokenizer, config.data)
    held = RLHFDataset(config.data.val_files, tokenizer, config.data)
    assert (len(train), len(held)) == (6, 8), "no prompt was filtered out"
    rendered = tokenizer.apply_chat_template(list(train[0]["raw_prompt"]), add_generation_prompt=True, tokenize=False)
    assert BOOK.describe() in rendered
    assert BOOK.describe() not in str(held[7]["raw_prompt"])
    assert train[0]["data_source"] == "countdown"


def test_the_naive_reward_manager_stores_the_rulebooks_totals(files: Any, tokenizer: Any, config: Any) -> None:
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.workers.reward_manager import get_reward_manager_cls

    manager = get_reward_manager_cls("naive")(
        tokenizer=tokenizer, num_examine=0, compute_score=get_custom_reward_fn(config)
    )
    data = batch_of(config, tokenizer, files.train, answers())
    result = manager(data, return_dict=True)
    assert result["reward_tensor"].sum(-1).tolist() == PAID
    extra = result["reward_extra_info"]
    assert extra["score"] == PAID
    assert extra["correctness"] == [2, -1.5, -2, -2]
    assert extra["format"] == [1, 1, -1, -1]
    assert extra["acc"] == [1, 0, 0, 0]
    assert extra["unscored"] == [0, 0, 0, 0]


def test_the_reward_loops_naive_manager_agrees(files: Any, tokenizer: Any, config: Any) -> None:
    from verl.trainer.ppo.reward import load_reward_manager

    async def run() -> list[dict[str, Any]]:
        manager = load_reward_manager(config, tokenizer)
        data = batch_of(config, tokenizer, files.train, answers())
        return [await manager.run_single(data[i : i + 1]) for i in range(len(data))]

    results = asyncio.run(run())
    assert [result["reward_score"] for result in results] == PAID
    assert {tuple(result["reward_extra_info"]) for result in results} == {
        ("score", "correctness", "format", "acc", "unscored")
    }
