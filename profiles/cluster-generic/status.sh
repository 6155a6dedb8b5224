#!/bin/sh
# Print the state of a Slurm job in a word that Snakemake understands: running, success or failed.
# Any answer but `running` is final. Slurm forgets a job MinJobAge (300 s) after its end; without an accounting database such a job
# counts as failed, so query more often than that.

answer=$(LC_ALL=C squeue --jobs="$1" --states=all --noheader --format=%T 2>&1) || case $answer in
*"Invalid job id"*) answer=FORGOTTEN ;; # ended longer ago than MinJobAge
*) answer=UNREACHABLE ;;                # the controller is busy or restarts: query again later
esac
# The accounting database, if there is one, knows jobs that the controller has forgotten.
if [ "${answer:-FORGOTTEN}" = FORGOTTEN ]; then
    answer=$(sacct --jobs="$1" --allocations --noheader --parsable2 --format=State 2> /dev/null | head -n 1)
fi

case $answer in
COMPLETED*) echo success ;;
BOOT_FAIL* | CANCELLED* | DEADLINE* | FAILED* | NODE_FAIL* | OUT_OF_MEMORY* | TIMEOUT* | "") echo failed ;;
*) echo running ;;
esac
