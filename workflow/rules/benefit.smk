# A target rule for these files alone.
rule meta_benefit:
    input:
        rules.tasks.input,
        plan.benefit.files.values(),


# From the family itself: it draws further training tasks and unseen ones, with larger and smaller differences.
rule measure_meta_benefit:
    output:
        "results/meta_benefit/{case}.nc",
    log:
        "results/logs/meta_benefit/{case}.log",
    benchmark:
        "results/timings/meta_benefit/{case}.tsv"
    priority: plan.priority("measure_meta_benefit")
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("measure_meta_benefit"),
    params:
        **sources.params("compute", "measure_meta_benefit", plan.family_plugins),
        case=plan.drawn_block,
        comparison=plan.benefit.comparison,
    script:
        "../scripts/measure_meta_benefit.py"
