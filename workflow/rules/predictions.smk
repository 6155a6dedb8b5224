rule predictions:
    input:
        rules.tasks.input,
        plan.files_of(plan.prediction.joined),
        plan.prediction.files,
        plan.figures.files("predictions"),
        plan.tables.files("predictions"),


# Without simulation: of the tasks, the initial gain and the settings alone.
rule predict:
    input:
        tasks="results/tasks/{case}.nc",
        tuned=plan.tuned_file,
    output:
        "results/predictions/{case}/{configuration}.nc",
    log:
        "results/logs/predictions/{case}/{configuration}.log",
    benchmark:
        "results/timings/predictions/{case}/{configuration}.tsv"
    priority: plan.priority("predict")
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("predict"),
    params:
        **sources.params("compute", "predict", plan.run_plugins),
        settings=plan.settings,
    script:
        "../scripts/predict.py"


rule join_predictions:
    input:
        dataset="results/datasets/{experiment}.nc",
        predictions=plan.prediction.parts_of,
    output:
        "results/predictions/{experiment}.nc",
    log:
        "results/logs/predictions/{experiment}.log",
    benchmark:
        "results/timings/predictions/{experiment}.tsv"
    # Takes seconds, so even with a cluster profile it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("join_predictions"),
    params:
        **sources.params("compute", "join_predictions"),
        experiment=lambda wildcards: plan.experiments[wildcards.experiment].block,
        places=plan.prediction.places,
        left_out=plan.prediction.left_out,
    script:
        "../scripts/join_predictions.py"
