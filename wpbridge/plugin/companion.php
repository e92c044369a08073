<?php
/**
 * Plugin Name: wpbridge companion
 * Description: Keeps Action Scheduler's own PHP runners off the actions that wpbridge runs. Says so under Tools > Scheduled Actions and in Site Health, and opens the dashboard of wpbridge.
 *
 * Written by "wpbridge wp install-plugin", which also renews it; "--remove" takes it away. Changes made here are lost.
 * wpbridge-companion-file
 */

if ( ! defined( 'ABSPATH' ) || defined( 'WPBRIDGE_COMPANION' ) ) {
	return;
}
define( 'WPBRIDGE_COMPANION', '{"version":"0","sites":{}}' );

// Declared inside a condition. Otherwise a second copy of this file would be a fatal error before its first line runs.
if ( ! class_exists( 'Wpbridge_Companion', false ) ) {

	/**
	 * Narrows what Action Scheduler's runners claim, by filters that it has had since 3.4.
	 * It writes one option, which tells wpbridge that this file is loaded. The second part of this file wakes wpbridge.
	 *
	 * What cannot be read counts as empty, so the plugin then behaves as if this file were not there.
	 * Written in the PHP of 5.6, for the sites that Action Scheduler 3.5 still serves.
	 */
	final class Wpbridge_Companion {

		const ALL  = '1=1';
		const NONE = '1=0';

		/** A runner beats every 10 seconds. After this many without a beat it is presumed gone. */
		const SILENT_SECONDS = 120;

		/** An action that has been due for this long while no runner is there deserves a look. */
		const OVERDUE_SECONDS = 600;

		/** How many due rows are examined at most, so that no page has to read a whole backlog. */
		const WINDOW = 1000;

		/** True for wpbridge's own hooks, which begin with wpbridge_. MySQL and SQLite read it alike, and compare bytes. */
		const OWN_HOOKS = "HEX( SUBSTR( hook, 1, 9 ) ) = '77706272696467655F'";

		/** The option that tells wpbridge that this file is loaded, and what it does. */
		const SIGN = 'wpbridge_companion';

		/** What keys are derived for. wpbridge has the same list in Python. */
		const USES = array( 'wake', 'job-token', 'ticket', 'login', 'forward', 'callback', 'session' );

		/** The signing secrets are read again after this time, so that a process that lives long notices a rotation. */
		const SECRETS_SECONDS = 30;

		/** The signing secrets that were read, by the table prefix of their site. */
		private static $secrets = array();

		public static function listen() {
			// With the last priority, so that our condition stands before what other plugins add to the order.
			add_filter( 'action_scheduler_claim_actions_order_by', array( __CLASS__, 'narrow_claim' ), PHP_INT_MAX );
			add_filter( 'action_scheduler_queue_runner_concurrent_batches', array( __CLASS__, 'concurrent_batches' ), PHP_INT_MAX );
			add_filter( 'action_scheduler_allow_async_request_runner', array( __CLASS__, 'allow_async' ), PHP_INT_MAX );
			// Action Scheduler adds its runner at priority 1.
			add_action( 'init', array( __CLASS__, 'switch_off' ), 20 );
			add_action( 'init', array( __CLASS__, 'give_sign' ), 20 );
			add_action( 'admin_notices', array( __CLASS__, 'notice' ) );
			add_filter( 'site_status_tests', array( __CLASS__, 'add_test' ) );
			add_filter( 'debug_information', array( __CLASS__, 'add_information' ) );
		}

		/*
		 * What the plugin's runners may do.
		 */

		/** Adds a condition to the claim. The filtered text follows conditions joined by AND, so it may begin with one more. */
		public static function narrow_claim( $order ) {
			$alone = self::left_alone();
			return self::NONE === $alone ? $order : "AND NOT ( $alone ) $order";
		}

		/** Raises the plugin's limit of claims by those of wpbridge, so that they do not count against it. */
		public static function concurrent_batches( $limit ) {
			return self::is_worker() ? $limit : (int) $limit + self::claims_held();
		}

		/** Allows a loopback request only if PHP has due rows. Otherwise each request would find nothing and start the next. */
		public static function allow_async( $allow ) {
			$alone = $allow ? self::left_alone() : self::NONE;
			if ( self::NONE === $alone || self::ALL === $alone ) {
				return $allow && self::NONE === $alone;
			}
			// Rows of PHP beyond the window are found by WP-Cron, a minute later.
			$found = self::rows( 'SELECT 1 FROM ( ' . self::due( 0 ) . " ) due WHERE NOT ( $alone ) LIMIT 1" );
			return null === $found || array() !== $found;
		}

		public static function switch_off() {
			if ( class_exists( 'ActionScheduler', false ) && self::is_switched_off() && ActionScheduler::is_initialized() ) {
				remove_action( 'action_scheduler_run_queue', array( ActionScheduler::runner(), 'run' ) );
			}
		}

		/** Says once in the options that this version of the file is loaded, and keeps wpbridge's own hooks from PHP. */
		public static function give_sign() {
			global $wpdb;
			$told = json_decode( WPBRIDGE_COMPANION, true );
			$sign = self::version() . ' own-hooks';
			if ( isset( $told['sites'][ $wpdb->prefix ] ) && get_option( self::SIGN ) !== $sign ) {
				$before = $wpdb->suppress_errors( true );
				update_option( self::SIGN, $sign );
				$wpdb->suppress_errors( $before );
			}
		}

		/*
		 * Which rows belong to whom, as SQL over the columns hook and group_id.
		 */

		/** A condition that is true for the rows that PHP leaves alone. */
		private static function left_alone() {
			global $wpdb;
			if ( self::is_worker() ) {
				return self::NONE;
			}
			$paused = self::paused();
			if ( self::is_switched_off() || self::ALL === $paused ) {
				return self::ALL;
			}
			// Other names are compared with MySQL's functions, which WordPress on SQLite does not understand.
			return is_a( $wpdb, 'WP_SQLite_DB' ) ? self::OWN_HOOKS : self::any( array( self::OWN_HOOKS, self::owned(), $paused ) );
		}

		/** A condition for the rows that wpbridge owns. The first rule that matches decides, then the hooks with a handler. */
		private static function owned() {
			$site  = self::site();
			$cases = array();
			foreach ( $site['rules'] as $rule ) {
				$conditions = array( self::ALL );
				if ( null !== $rule['hook'] ) {
					$conditions[] = self::matches( 'hook', $rule['hook'] );
				}
				if ( null !== $rule['group'] ) {
					$none         = '' === trim( $rule['group'], '*' );
					$conditions[] = self::in_groups( self::matches( 'slug', $rule['group'] ), $none );
				}
				$cases[] = 'WHEN ' . implode( ' AND ', $conditions ) . ' THEN ' . ( $rule['owned'] ? 1 : 0 );
			}
			if ( $site['hooks'] ) {
				$cases[] = 'WHEN ' . self::is_one_of( 'hook', $site['hooks'] ) . ' THEN 1';
			}
			if ( ! $cases ) {
				return self::NONE;
			}
			if ( $site['upkeep'] ) {
				array_unshift( $cases, 'WHEN ' . self::is_one_of( 'hook', $site['upkeep'] ) . ' THEN 0' );
			}
			return '1 = CASE ' . implode( ' ', $cases ) . ' ELSE 0 END';
		}

		private static function paused() {
			$names = array(
				'all'   => array(),
				'hook'  => array(),
				'group' => array(),
			);
			foreach ( self::pauses() as $pause ) {
				$names[ $pause['kind'] ][] = $pause['name'];
			}
			if ( $names['all'] ) {
				return self::ALL;
			}
			$conditions = array();
			if ( $names['hook'] ) {
				$conditions[] = self::is_one_of( 'hook', $names['hook'] );
			}
			if ( $names['group'] ) {
				$none         = in_array( '', $names['group'], true );
				$conditions[] = self::in_groups( self::is_one_of( 'slug', $names['group'] ), $none );
			}
			return self::any( $conditions );
		}

		/** Looks up the groups' ids first, since a subselect in the claim would lock rows of the groups table. */
		private static function in_groups( $condition, $none ) {
			if ( self::ALL === $condition ) {
				return self::ALL;
			}
			$rows = self::rows( 'SELECT group_id FROM ' . self::table( 'actionscheduler_groups' ) . " WHERE $condition" );
			$ids  = array_map( 'intval', wp_list_pluck( (array) $rows, 'group_id' ) );
			if ( $none ) {
				$ids[] = 0;
			}
			return $ids ? 'group_id IN ( ' . implode( ', ', $ids ) . ' )' : self::NONE;
		}

		private static function any( $conditions ) {
			$conditions = array_diff( $conditions, array( self::NONE ) );
			return $conditions ? '( ' . implode( ' ) OR ( ', $conditions ) . ' )' : self::NONE;
		}

		/** A condition for a pattern of wpbridge's settings: * is any text, ? is any character. */
		private static function matches( $column, $pattern ) {
			if ( '' !== $pattern && '' === trim( $pattern, '*' ) ) {
				return self::ALL;
			}
			if ( false === strpbrk( $pattern, '*?' ) ) {
				return self::is_one_of( $column, array( $pattern ) );
			}
			$like = strtr( $pattern, array( '!' => '!!', '%' => '!%', '_' => '!_', '*' => '%', '?' => '_' ) );
			return "CONVERT( $column USING utf8mb4 ) COLLATE utf8mb4_bin LIKE _utf8mb4 " . self::hex( $like ) . " ESCAPE '!'";
		}

		/** Compares byte for byte, since the tables' collation ignores letter case, accents and trailing spaces. */
		private static function is_one_of( $column, $texts ) {
			$list = implode( ', ', array_map( array( __CLASS__, 'hex' ), $texts ) );
			return "CAST( CONVERT( $column USING utf8mb4 ) AS BINARY ) IN ( $list )";
		}

		/** Writes a text so that it has no quotes, and no % that one of the claim's two prepare() would replace. */
		private static function hex( $text ) {
			return "x'" . bin2hex( $text ) . "'";
		}

		/*
		 * What the configuration and wpbridge's tables say.
		 */

		/** Tells whether this is a PHP worker of wpbridge, which may claim everything. */
		private static function is_worker() {
			return defined( 'WPBRIDGE_WORKER' );
		}

		private static function is_switched_off() {
			$site = self::site();
			/** Filters whether PHP's runners work although wpbridge runs this whole site. */
			return $site['owns_site'] && ! self::is_worker() && ! apply_filters( 'wpbridge_allow_php_runner', false );
		}

		/** The configuration of the current site of a network. It is empty for a site that is not in the file. */
		private static function site() {
			global $wpdb;
			$told = json_decode( WPBRIDGE_COMPANION, true );
			$site = isset( $told['sites'][ $wpdb->prefix ] ) ? $told['sites'][ $wpdb->prefix ] : null;
			return ( is_array( $site ) ? $site : array() ) + array(
				'owns_site' => false,
				'rules'     => array(),
				'hooks'     => array(),
				'upkeep'    => array(),
				'traces'    => false,
				'dashboard' => array(),
			);
		}

		/** How people of the current site come into the dashboard. */
		public static function dashboard() {
			$site = self::site();
			return ( is_array( $site['dashboard'] ) ? $site['dashboard'] : array() ) + array(
				'url'       => null,
				'on_site'   => false,
				'server'    => '',
				'base_path' => '',
				'people'    => array(),
			);
		}

		/** Tells whether the traceparent of requests is kept on the current site. */
		public static function is_traced() {
			$site = self::site();
			return true === $site['traces'];
		}

		private static function version() {
			$told = json_decode( WPBRIDGE_COMPANION, true );
			return isset( $told['version'] ) ? $told['version'] : 'unknown';
		}

		/** The pauses that are in force by this host's clock. */
		private static function pauses() {
			$now = gmdate( 'Y-m-d H:i:s' );
			return (array) self::rows(
				'SELECT kind, name, until_gmt, reason FROM ' . self::table( 'wpbridge_pauses' )
				. " WHERE kind IN ( 'all', 'hook', 'group' ) AND ( until_gmt IS NULL OR until_gmt > '$now' ) ORDER BY kind, name"
			);
		}

		/** The keys of one use, newest first. See wpbridge_signing_keys(). */
		public static function signing_keys( $use, $prefix ) {
			$keys = array();
			foreach ( in_array( $use, self::USES, true ) ? self::secrets( $prefix ) : array() as $secret ) {
				$keys[] = hash_hmac( 'sha256', "wpbridge/$use/v1", $secret, true );
			}
			return $keys;
		}

		/** The valid signing secrets of a site, newest first. */
		private static function secrets( $prefix ) {
			global $wpdb;
			$now = time();
			if ( ! isset( self::$secrets[ $prefix ] ) || abs( $now - self::$secrets[ $prefix ]['at'] ) >= self::SECRETS_SECONDS ) {
				$rows = self::rows( "SELECT secret FROM {$prefix}wpbridge_secrets WHERE place IN ( 'current', 'previous' ) ORDER BY place" );
				// Otherwise the secrets stay in $wpdb->last_result, which other plugins may show.
				$wpdb->flush();
				$valid                    = preg_grep( '/\A[0-9a-f]{64}\z/', wp_list_pluck( (array) $rows, 'secret' ) );
				self::$secrets[ $prefix ] = array(
					'at'      => $now,
					'secrets' => array_map( 'hex2bin', array_values( $valid ) ),
				);
			}
			return self::$secrets[ $prefix ]['secrets'];
		}

		/** Counts wpbridge's claims as the plugin counts claims: those that have pending or running rows. */
		private static function claims_held() {
			$told = wp_list_pluck( (array) self::rows( 'SELECT claims FROM ' . self::table( 'wpbridge_runners' ) ), 'claims' );
			$ids  = array_filter( explode( ',', implode( ',', $told ) ), 'ctype_digit' );
			if ( ! $ids ) {
				return 0;
			}
			$rows = self::rows(
				'SELECT COUNT( DISTINCT claim_id ) AS held FROM ' . self::table( 'actionscheduler_actions' )
				. ' WHERE claim_id IN ( ' . implode( ', ', $ids ) . " ) AND status IN ( 'pending', 'in-progress' )"
			);
			return $rows ? (int) $rows[0]['held'] : 0;
		}

		/** Seconds since the last beat of a runner. False if there is no runner, null without wpbridge's table. */
		private static function silence() {
			$rows = self::rows( 'SELECT MAX( beat_gmt ) AS beat, UTC_TIMESTAMP() AS now FROM ' . self::table( 'wpbridge_runners' ) );
			if ( ! $rows ) {
				return null;
			}
			// Both times are by the database's clock.
			return null === $rows[0]['beat'] ? false : max( 0, strtotime( $rows[0]['now'] ) - strtotime( $rows[0]['beat'] ) );
		}

		/** Counts the overdue rows of wpbridge that are not paused, among those that have been due for longest. */
		private static function overdue() {
			$rows = self::rows( 'SELECT COUNT(*) AS late' . self::from_overdue() );
			return $rows ? (int) $rows[0]['late'] : 0;
		}

		/** The id of the row that has been overdue for longest; 0 if there is none. */
		private static function oldest_overdue() {
			$rows = self::rows( 'SELECT action_id' . self::from_overdue() . ' ORDER BY scheduled_date_gmt, action_id LIMIT 1' );
			return $rows ? (int) $rows[0]['action_id'] : 0;
		}

		private static function from_overdue() {
			$site  = self::site();
			$owned = $site['owns_site'] ? self::ALL : self::any( array( self::OWN_HOOKS, self::owned() ) );
			return ' FROM ( ' . self::due( self::OVERDUE_SECONDS ) . " ) due WHERE ( $owned ) AND NOT ( " . self::paused() . ' )';
		}

		private static function due( $seconds ) {
			$then = gmdate( 'Y-m-d H:i:s', time() - $seconds );
			return 'SELECT action_id, hook, group_id, scheduled_date_gmt FROM ' . self::table( 'actionscheduler_actions' )
				. " WHERE claim_id = 0 AND status = 'pending' AND scheduled_date_gmt <= '$then' ORDER BY scheduled_date_gmt LIMIT " . self::WINDOW;
		}

		private static function table( $name ) {
			global $wpdb;
			return $wpdb->prefix . $name;
		}

		/** Rows as arrays, or null if they cannot be read. No error is shown then. */
		public static function rows( $sql ) {
			global $wpdb;
			$rows   = null;
			$before = $wpdb->suppress_errors( true );
			try {
				$rows = $wpdb->get_results( $sql, ARRAY_A );
				$rows = '' === (string) $wpdb->last_error ? $rows : null;
			} catch ( Exception $error ) {
				$rows = null;
			} catch ( Throwable $error ) {
				$rows = null;
			}
			$wpdb->suppress_errors( $before );
			return is_array( $rows ) ? $rows : null;
		}

		/*
		 * What people see.
		 */

		public static function notice() {
			$screen = function_exists( 'get_current_screen' ) ? get_current_screen() : null;
			$id     = $screen ? $screen->id : '';
			// phpcs:ignore WordPress.Security.NonceVerification.Recommended -- the value is only compared.
			$is_tab = isset( $_GET['tab'] ) && 'action-scheduler' === $_GET['tab'] && '_wc-status' === substr( $id, -10 );
			if ( ( 'tools_page_action-scheduler' === $id || $is_tab ) && current_user_can( 'manage_options' ) ) {
				$links = Wpbridge_Dashboard::links( array( '/' => 'Open the dashboard of wpbridge' ) );
				echo '<div class="notice notice-info"><p>', implode( '<br>', array_map( 'esc_html', self::facts() ) ), '</p>', $links, '</div>';
			}
		}

		public static function add_test( $tests ) {
			if ( class_exists( 'ActionScheduler', false ) ) {
				$tests['direct']['wpbridge'] = array(
					'label' => 'wpbridge',
					'test'  => array( __CLASS__, 'test' ),
				);
			}
			return $tests;
		}

		public static function test() {
			$silence = self::silence();
			$is_gone = ! is_int( $silence ) || $silence > self::SILENT_SECONDS;
			$late    = $is_gone ? self::overdue() : 0;
			$advice  = 'Start wpbridge, or take this plugin away with "wpbridge wp install-plugin --remove", so that PHP runs them again.';
			$pages   = array( '/' => 'Open the dashboard of wpbridge' );
			if ( $late ) {
				$oldest = self::oldest_overdue();
				$pages  = array(
					"/actions/$oldest"        => "See why action $oldest waits",
					'/actions?status=pending' => 'See all actions that wait',
				);
			}
			return array(
				'label'       => $late ? 'Actions wait for wpbridge, and no runner of it is there' : 'wpbridge and Action Scheduler share the queue',
				'status'      => $late ? 'recommended' : 'good',
				'badge'       => array(
					'label' => 'Performance',
					'color' => 'blue',
				),
				'description' => '<p>' . implode( '</p><p>', array_map( 'esc_html', self::facts() ) ) . '</p>',
				'actions'     => ( $late ? '<p>' . esc_html( $advice ) . '</p>' : '' ) . Wpbridge_Dashboard::links( $pages ),
				'test'        => 'wpbridge',
			);
		}

		public static function add_information( $information ) {
			$fields = array();
			foreach ( self::facts() as $label => $fact ) {
				$fields[ sanitize_key( $label ) ] = array(
					'label' => $label,
					'value' => $fact,
				);
			}
			$held                    = self::claims_held();
			$fields['claims']        = array(
				'label' => 'Claims held',
				'value' => $held ? $held : 'none',
			);
			$fields['version']       = array(
				'label' => 'Companion written by wpbridge',
				'value' => self::version(),
			);
			$information['wpbridge'] = array(
				'label'  => 'wpbridge',
				'fields' => $fields,
			);
			return $information;
		}

		/** Sentences, each under the word for what it is about. They are not escaped. */
		public static function facts() {
			$facts = array(
				'Owns'   => self::owns_in_words(),
				'Runner' => self::silence_in_words(),
			);
			$late  = self::overdue();
			if ( $late ) {
				$facts['Overdue'] = ( $late < self::WINDOW ? $late : "$late or more" ) . ' of its actions have been due for more than 10 minutes.';
			}
			$pauses = self::pauses();
			if ( $pauses ) {
				$facts['Paused'] = 'Paused, for wpbridge and PHP alike: ' . self::list_of( array_map( array( __CLASS__, 'pause_in_words' ), $pauses ) ) . '.';
			}
			return $facts;
		}

		private static function owns_in_words() {
			$site = self::site();
			if ( $site['owns_site'] ) {
				return self::is_switched_off()
					? "wpbridge runs all of this site's actions. Action Scheduler's own PHP runners are switched off."
					: "wpbridge runs this site's actions; the filter wpbridge_allow_php_runner lets PHP run them too.";
			}
			$names = array();
			foreach ( $site['rules'] as $rule ) {
				$names[] = ( $rule['owned'] ? '' : 'not ' ) . self::rule_in_words( $rule );
			}
			foreach ( $site['hooks'] as $hook ) {
				$names[] = "hook $hook";
			}
			return $names
				? 'wpbridge runs ' . self::list_of( $names ) . ". Action Scheduler's own runners take all else."
				: 'wpbridge keeps no actions from PHP on this site.';
		}

		private static function rule_in_words( $rule ) {
			$group = '' === $rule['group'] ? 'no group' : 'group ' . $rule['group'];
			if ( null === $rule['hook'] ) {
				return $group;
			}
			return 'hook ' . $rule['hook'] . ( null === $rule['group'] ? '' : " in $group" );
		}

		private static function silence_in_words() {
			$silence = self::silence();
			if ( null === $silence ) {
				return 'wpbridge has no table on this site: it has not run here yet.';
			}
			return false === $silence
				? 'No runner of wpbridge is there at the moment.'
				: "A runner of wpbridge last said $silence seconds ago that it lives.";
		}

		private static function pause_in_words( $pause ) {
			$what   = 'all' === $pause['kind'] ? 'everything' : $pause['kind'] . ' ' . $pause['name'];
			$until  = null === $pause['until_gmt'] ? 'until resumed' : 'until ' . $pause['until_gmt'] . ' UTC';
			$reason = (string) $pause['reason'];
			return "$what $until" . ( '' === $reason ? '' : " ($reason)" );
		}

		private static function list_of( $names ) {
			$more = count( $names ) - 20;
			return implode( ', ', array_slice( $names, 0, 20 ) ) . ( $more > 0 ? " and $more more" : '' );
		}
	}

	Wpbridge_Companion::listen();

	/**
	 * Returns the keys with which wpbridge and PHP sign for one use: sign with the first one, and accept signatures of all.
	 *
	 * The array is empty where there is no key, for instance because wpbridge has made no secret on this site.
	 *
	 * @param string      $use    One of Wpbridge_Companion::USES.
	 * @param string|null $prefix The table prefix of a site of the network. Null for the current one.
	 * @return string[] Keys of 32 bytes, newest first.
	 */
	function wpbridge_signing_keys( $use, $prefix = null ) {
		global $wpdb;
		return Wpbridge_Companion::signing_keys( $use, null === $prefix ? $wpdb->prefix : $prefix );
	}
}
