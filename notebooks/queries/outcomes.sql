-- One row a scheduled flight from $start to $end, with what is known once its day is over.
SELECT
    CONCAT(make_date(year, month, day), '-', carrier, '-', flight, '-', origin, '-', dest, '-',
        LPAD(CAST(sched_dep_time AS VARCHAR), 4, '0')) COLLATE "C" AS id,
    dep_delay,
    arr_delay,
    dep_time IS NULL AS cancelled,
    arr_delay >= 15 AS late
FROM flights
WHERE make_date(year, month, day) BETWEEN CAST($start AS DATE) AND CAST($end AS DATE)
ORDER BY id
