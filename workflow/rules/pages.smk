rule pages:
    input:
        "results/page.html",


# Every section of the page: the plug-in in src/metalqr/reporting/pages declares its inputs.
rule section:
    input:
        plan.sections.of("inputs"),
    output:
        "results/sections/{section}.json",
    log:
        "results/logs/sections/{section}.log",
    benchmark:
        "results/timings/sections/{section}.tsv"
    wildcard_constraints:
        section=plan.sections.pattern,
    # Takes seconds, so even with a cluster profile it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=plan.sections.memory,
        runtime=10,
    params:
        **plan.sections.params,
        **sources.params("figures", "make_section", plan.sections.of("sources")),
    script:
        "../scripts/make_section.py"


# The page itself, with every figure and table; it opens without a network.
rule page:
    input:
        sections=plan.page.section_files,
        figures=plan.page.figure_files,
        tables=plan.page.table_files,
    output:
        "results/page.html",
    log:
        "results/logs/pages/page.log",
    benchmark:
        "results/timings/pages/page.tsv"
    localrule: True
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=plan.page.memory,
        runtime=10,
    params:
        **sources.params("figures", "make_page"),
        entries=plan.page.entries,
        changes=changes,
        assets=sources.digests(plan.page.assets),
    script:
        "../scripts/make_page.py"
