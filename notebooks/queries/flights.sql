-- One row a scheduled flight from $start to $end, with only what is known before its day begins. Types are cast where
-- DuckDB and PostgreSQL would each choose their own.
-- History looks back 28 days from each flight's own day and ends with the day before, so that a day
-- has the same rows whether it is asked for alone or in a range. Averages are taken of whole
-- numbers only: their sum is exact, whatever the order of additions.
WITH schedule AS (
    SELECT
        make_date(year, month, day) AS day,
        make_timestamp(year, month, day, hour, minute, 0) AS departure,
        CAST(60 * hour + minute AS INTEGER) AS departure_minute,
        -- 1830 is 18:30: 40 off for each of its hours leaves minutes.
        CAST(sched_arr_time - 40 * FLOOR(sched_arr_time / 100) AS INTEGER) AS arrival_minute,
        sched_dep_time, hour, time_hour, carrier, flight, tailnum, origin, dest, distance,
        CAST(arr_delay AS DOUBLE PRECISION) AS delay,
        CAST(CASE WHEN arr_delay >= 15 THEN 1 WHEN arr_delay < 15 THEN 0 END AS DOUBLE PRECISION) AS late
    FROM flights
    WHERE make_date(year, month, day) >= CAST($start AS DATE) - INTERVAL '28' DAY
      AND make_date(year, month, day) <= CAST($end AS DATE)
),

history AS (
    SELECT
        *,
        COUNT(*) OVER (PARTITION BY day, origin, hour) AS hour_departures,
        COUNT(*) OVER (PARTITION BY day, origin) AS day_departures,
        CASE WHEN tailnum IS NOT NULL
            THEN COUNT(*) OVER (PARTITION BY day, tailnum ORDER BY departure) END AS plane_leg,
        AVG(late) OVER origin_1d AS origin_late_1d,
        AVG(late) OVER dest_1d AS dest_late_1d,
        AVG(late) OVER carrier_1d AS carrier_late_1d,
        AVG(late) OVER carrier_28d AS carrier_late_28d,
        AVG(late) OVER hour_28d AS hour_late_28d,
        AVG(late) OVER route_28d AS route_late_28d,
        AVG(late) OVER plane_28d AS plane_late_28d,
        AVG(late) OVER flight_28d AS flight_late_28d,
        AVG(delay) OVER flight_28d AS flight_delay_28d
    FROM schedule
    WINDOW
        origin_1d AS (PARTITION BY origin ORDER BY day
            RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        dest_1d AS (PARTITION BY dest ORDER BY day
            RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        carrier_1d AS (PARTITION BY carrier ORDER BY day
            RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        carrier_28d AS (PARTITION BY carrier ORDER BY day
            RANGE BETWEEN INTERVAL '28' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        hour_28d AS (PARTITION BY origin, hour ORDER BY day
            RANGE BETWEEN INTERVAL '28' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        route_28d AS (PARTITION BY origin, dest ORDER BY day
            RANGE BETWEEN INTERVAL '28' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        plane_28d AS (PARTITION BY tailnum ORDER BY day
            RANGE BETWEEN INTERVAL '28' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING),
        flight_28d AS (PARTITION BY carrier, flight, origin, dest ORDER BY day
            RANGE BETWEEN INTERVAL '28' DAY PRECEDING AND INTERVAL '1' DAY PRECEDING)
),

-- What was measured at the hour stands in for a forecast; the worst of the last six hours is what
-- the first delays of a day come from.
conditions AS (
    SELECT
        origin, time_hour, temp, dewp, humid, wind_dir, wind_gust, precip, pressure, visib,
        -- One reading of 2013 says 1,048 mph.
        CASE WHEN wind_speed < 200 THEN wind_speed END AS wind_speed,
        MAX(precip) OVER recent AS precip_6h,
        MIN(visib) OVER recent AS visib_6h
    FROM weather
    WINDOW recent AS (PARTITION BY origin ORDER BY time_hour
        RANGE BETWEEN INTERVAL '6' HOUR PRECEDING AND CURRENT ROW)
)

SELECT
    CONCAT(h.day, '-', h.carrier, '-', h.flight, '-', h.origin, '-', h.dest, '-',
        LPAD(CAST(h.sched_dep_time AS VARCHAR), 4, '0')) COLLATE "C" AS id,
    h.departure, h.carrier, h.flight, h.tailnum, h.origin, h.dest,
    CAST(EXTRACT(ISODOW FROM h.day) AS INTEGER) AS weekday,
    h.departure_minute,
    MOD(h.arrival_minute - h.departure_minute + 1440, 1440) AS clock_minutes,
    h.distance, h.hour_departures, h.day_departures, h.plane_leg,
    CAST(EXTRACT(YEAR FROM h.day) AS INTEGER) - p.year AS plane_age, p.seats, p.manufacturer,
    c.temp, c.dewp, c.humid, c.wind_dir, c.wind_speed, c.wind_gust, c.precip, c.pressure, c.visib,
    c.precip_6h, c.visib_6h,
    h.origin_late_1d, h.dest_late_1d, h.carrier_late_1d, h.carrier_late_28d, h.hour_late_28d,
    h.route_late_28d, h.plane_late_28d, h.flight_late_28d, h.flight_delay_28d
FROM history AS h
LEFT JOIN planes AS p ON p.tailnum = h.tailnum
LEFT JOIN conditions AS c ON c.origin = h.origin AND c.time_hour = h.time_hour
WHERE h.day >= CAST($start AS DATE)
ORDER BY id
