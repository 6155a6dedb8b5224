"""Make a set of tasks, drawn from a family or as the config gives them, with the gain that training starts from."""

from stage import snakemake

# isort: split
from metalqr import storage
from metalqr.config.registries import families
from metalqr.initial_gain import initial_gain

name, case = snakemake.wildcards.case, snakemake.params.case
plugin = families.get(case["tasks"]["family"])
settings = plugin.Settings(**{key: value for key, value in case["tasks"].items() if key != "family"})
tasks = plugin(settings).tasks(case["state_dim"], case["action_dim"], case.get("seed", 0))
K0 = initial_gain(tasks, case["initial_gain"], name)
made_from = {**case, "tasks": {"family": plugin.name, **settings.as_dict()}}
storage.save_tasks(snakemake.output[0], tasks, K0, made_from, case=name)
