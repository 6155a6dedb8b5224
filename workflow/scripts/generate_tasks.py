"""Make the tasks of a case: drawn from a family of similar systems, or as the config gives them."""

from stage import snakemake

# isort: split
from metalqr import families, storage

case = snakemake.params.case
entries = {name: value for name, value in case["tasks"].items() if name != "family"}
if case["tasks"]["family"] == "given":
    tasks = families.given_tasks(entries)
else:
    settings = families.FamilySettings(**entries)
    tasks = families.similar_tasks(case["state_dim"], case["action_dim"], settings, case["seed"])
storage.save_tasks(snakemake.output[0], tasks, case, case=snakemake.wildcards.case)
