rule tasks:
    input:
        expand("results/tasks/{case}.nc", case=plan.task_sets),


rule generate_tasks:
    output:
        "results/tasks/{case}.nc",
    log:
        "results/logs/tasks/{case}.log",
    benchmark:
        "results/timings/tasks/{case}.tsv"
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("generate_tasks"),
    params:
        **sources.params("compute", "generate_tasks", plan.task_plugins),
        case=plan.task_block,
    script:
        "../scripts/generate_tasks.py"
